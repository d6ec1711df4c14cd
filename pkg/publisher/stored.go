package publisher

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/record"
)

// This file is what stream delivery has of its own on the publisher's side: a
// batch is acknowledged by JetStream when it is stored, in JetStream's words.

// The headers by which a stream knows a batch, from NATS ADR-22 and the JetStream
// documentation; pkg jetstream has them too, with much that a worker has no use for.
const (
	headerMsgID    = "Nats-Msg-Id"
	headerExpected = "Nats-Expected-Stream"
)

// ackRefused stands beside record's kinds for a PubAck with an error: the batch is
// not stored now, and may be later.
const ackRefused record.AckKind = 255

// streamOf is the stream of a courier: none in direct delivery.
func streamOf(delivery, stream string) string {
	switch {
	case delivery != "stream":
		return ""
	case stream == "":
		return DefaultStream
	}
	return stream
}

// headers are those of a batch's message.
func (c *courier) headers(b record.Batch) nats.Header {
	h := nats.Header{record.HeaderName: {string(b.AppendHeader(nil))}}
	if c.stream != "" {
		h[headerMsgID] = []string{messageID(b)}
		// Whoever else takes our subjects must not acknowledge what our collector will never see.
		h[headerExpected] = []string{c.stream}
	}
	return h
}

// messageID is by what JetStream recognises a batch that was stored already. Both
// ends are in it: whoever drains the buffer of a dead run cuts it into batches
// elsewhere, and by the first seq alone JetStream would take a longer batch for the
// shorter one that it has, acknowledge it, and its tail would be lost
// (docs/adr/0006). It only spares the stream the copy: what comes twice all the
// same, the collector drops (I4).
func messageID(b record.Batch) string {
	id := make([]byte, 0, 64)
	id = append(append(id, b.Run...), '.')
	id = strconv.AppendUint(id, b.First, 10)
	id = strconv.AppendUint(append(id, '-'), b.Last, 10)
	return string(id)
}

// readStored understands JetStream's answer to the batch in flight. Stored now or
// stored before, everything up to the batch's last record is acknowledged: what came
// before it was, too, or it would not have been sent.
func (c *courier) readStored(data []byte, b record.Batch) (a record.Ack, ours bool) {
	var ack struct {
		Stream string `json:"stream"`
		Seq    uint64 `json:"seq"`
		Error  *struct {
			Code        int    `json:"code"`
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	err := json.Unmarshal(data, &ack)
	switch {
	case err == nil && ack.Error != nil:
		c.refusal.say(c, ack.Error.ErrCode, fmt.Sprintf("%s (%d)", ack.Error.Description, ack.Error.ErrCode))
		return record.Ack{Kind: ackRefused}, true
	case err != nil || ack.Seq == 0 || ack.Stream != c.stream:
		// A collector's answer, most likely: one that uses direct delivery.
		if c.silence.due() {
			c.diag.Warn("answer is not from stream "+c.stream+"; a collector answers where LOGBRAID_DELIVERY should be direct", "answer", string(data[:min(len(data), 128)]))
		}
		return record.Ack{}, false
	}
	c.refusal.over(c)
	return record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: b.Last}, true
}

// noRoom is JetStream's code for what a full stream (DiscardNew) answers.
const noRoom = 10077

// refusal is a time in which the stream takes nothing. It is told once, with its end; a
// stream that is full again and again for moments, once in a while.
type refusal struct {
	code  int // of the answer that was told; 0: none
	since time.Time
	told  notice
}

func (r *refusal) say(c *courier, code int, reason string) {
	if r.code == code || !r.told.due() {
		return
	}
	r.code, r.since = code, time.Now()
	if code == noRoom {
		c.diag.Warn("the stream has no room: records are kept, and sent when there is", "stream", c.stream, "reason", reason)
		return
	}
	c.diag.Warn("the stream does not take records: they are kept, and sent again", "stream", c.stream, "reason", reason)
}

func (r *refusal) over(c *courier) {
	if r.code != 0 {
		r.code = 0
		c.diag.Info("the stream takes records again", "stream", c.stream, "after", time.Since(r.since))
	}
}

// absent says whom nobody has heard of.
func (c *courier) absent() string {
	if c.stream != "" {
		return "there is no stream yet, which the collector makes: records are kept, and sent again"
	}
	return "no collector is listening: records are kept, and sent again"
}
