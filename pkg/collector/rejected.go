package collector

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// rejectedName is the file in the log directory that keeps messages that do not hold together.
const rejectedName = "rejected.jsonl"

// What it may take: whoever sends garbage must not fill the disk with it.
const (
	maxRejectedPayload = 64 << 10
	maxRejectedFile    = 64 << 20
)

// reject keeps a message aside, with its lines, or its payload where there is no making lines of it. It does not touch
// the log or the run's progress; the publisher is told.
func (w *writer) reject(g *group, m *message, b record.Batch, lines []byte, reason error) error {
	if w.rejected == nil {
		f, err := w.paths.reserve(rejectedName, logfile.FileOptions{Rotate: maxRejectedFile, Keep: 1})
		if err != nil {
			return err
		}
		w.rejected = f
	}
	payload := lines
	if payload == nil {
		var err error
		if payload, err = w.decode(b, m); err != nil {
			payload = m.data
		}
	}
	w.line = appendRejected(w.line[:0], time.Now(), m, payload, reason)
	w.rejected.Append(w.line)
	g.tally.rejected++
	w.log.often(slog.LevelWarn, "message rejected", "", "subject", m.subject, "reason", reason)
	if b.Run == "" {
		b.Run = "-" // the header could not be read; an answer names some run
	}
	g.answer(m, record.Ack{Kind: record.AckReject, Run: b.Run, Reason: reason.Error()})
	return nil
}

// appendRejected appends one line of rejected.jsonl:
//
//	time     when it arrived
//	subject  and
//	header   the Logbraid header, as they were
//	reason   why it was rejected
//	bytes    length of the payload, decoded if it could be
//	payload  its first 64 KiB; bytes that are not UTF-8 are replaced
func appendRejected(dst []byte, now time.Time, m *message, payload []byte, reason error) []byte {
	dst = append(dst, `{"time":"`...)
	dst = now.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000000Z")
	dst = append(dst, `","subject":`...)
	dst = record.AppendString(dst, m.subject)
	dst = append(dst, `,"reason":`...)
	dst = record.AppendString(dst, reason.Error())
	dst = append(dst, `,"header":`...)
	dst = record.AppendString(dst, m.header[:min(len(m.header), maxRejectedPayload)])
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, `,"payload":`...)
	dst = record.AppendString(dst, string(payload[:min(len(payload), maxRejectedPayload)]))
	return append(dst, '}', '\n')
}
