package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// An AckKind says what the collector answers to a batch.
type AckKind uint8

// The answers.
const (
	AckCommitted AckKind = iota + 1 // everything up to Seq is committed
	AckWant                         // send again from Seq
	AckReject                       // the batch is not accepted, for Reason
)

// An Ack is the collector's answer to a batch, on the message's reply subject:
//
//	1 ack run=4fK9xQ2LmP last=4330
//	1 want run=4fK9xQ2LmP seq=4211
//	1 reject run=4fK9xQ2LmP reason=crc is 1a2b3c4d, header says 00000000
//
//	word    meaning
//	ack     everything of the run up to last is committed (cumulative)
//	want    nothing of the batch was taken; send again from seq
//	reject  nothing of the batch was taken, and sending it again will not help; the reason is the
//	        rest of the line, at most 256 bytes
type Ack struct {
	Kind   AckKind
	Run    string
	Seq    uint64 // last of an ack, seq of a want
	Reason string // of a reject
}

const maxReason = 256

// AppendAck appends a's text; a Kind that is none of ours makes a reject. The reason is cut to 256
// bytes and loses its control characters.
func AppendAck(dst []byte, a Ack) []byte {
	dst = append(dst, wireVersion...)
	switch a.Kind {
	case AckCommitted:
		dst = append(append(dst, " ack run="...), a.Run...)
		return strconv.AppendUint(append(dst, " last="...), a.Seq, 10)
	case AckWant:
		dst = append(append(dst, " want run="...), a.Run...)
		return strconv.AppendUint(append(dst, " seq="...), a.Seq, 10)
	}
	dst = append(append(dst, " reject run="...), a.Run...)
	return append(append(dst, " reason="...), cleanReason(a.Reason)...)
}

func cleanReason(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	s = strings.ToValidUTF8(s, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// ParseAck reads an answer.
func ParseAck(p []byte) (Ack, error) {
	a, err := parseAck(string(p))
	if err != nil {
		return Ack{}, fmt.Errorf("parse ack %q: %w", clip(string(p), 128), err)
	}
	return a, nil
}

func parseAck(s string) (Ack, error) {
	var a Ack
	version, rest, _ := strings.Cut(s, " ")
	if version != wireVersion {
		return a, fmt.Errorf("version is not %s", wireVersion)
	}
	kind, rest, _ := strings.Cut(rest, " ")
	run, rest, _ := strings.Cut(rest, " ")
	var ok bool
	if a.Run, ok = strings.CutPrefix(run, "run="); !ok || !validRun(a.Run) {
		return a, errors.New("no run")
	}
	key, value, _ := strings.Cut(rest, "=")
	var err error
	switch kind + " " + key {
	case "ack last":
		a.Kind = AckCommitted
		a.Seq, err = parseSeq(value)
	case "want seq":
		a.Kind = AckWant
		a.Seq, err = parseSeq(value)
	case "reject reason":
		a.Kind = AckReject
		if a.Reason = value; len(value) > maxReason {
			err = errors.New("reason too long")
		}
	default:
		err = errors.New("neither ack, want nor reject")
	}
	return a, err
}
