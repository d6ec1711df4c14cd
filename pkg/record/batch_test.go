package record

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// batch returns a payload with the given seqs and the header that goes with it.
func batch(dropped uint64, seqs ...uint64) (Batch, []byte) {
	var p []byte
	for _, seq := range seqs {
		p = append(p, line(seq, func(l *Line) { l.Uint("n", seq) })...)
	}
	return Batch{Run: testID.Run, First: seqs[0], Last: seqs[len(seqs)-1], Count: len(seqs), Dropped: dropped, Oldest: seqs[0], CRC: Checksum(p)}, p
}

func TestBatchHeader(t *testing.T) {
	for _, b := range []Batch{
		{Run: "4fK9xQ2LmP", First: 4211, Last: 4330, Count: 118, Dropped: 2, Oldest: 4211, CRC: 0x1a2b3c4d},
		{Run: "r", First: 1, Last: 1, Count: 1, Oldest: 1},
		{Run: "r", First: 1, Last: 1, Count: 1, Oldest: 1, CRC: 7, Enc: S2},
		{Run: "r", First: 1, End: true},
		{Run: "r", First: 8, Last: 7, Dropped: 7, Oldest: 8, CRC: 0, End: true},
		{Run: strings.Repeat("r", 64), First: maxSeq - 1, Last: maxSeq - 1, Count: 1, Dropped: maxSeq - 2, Oldest: 1, CRC: 1<<32 - 1},
	} {
		h := string(b.AppendHeader(nil))
		got, err := ParseBatch(h)
		if got != b || err != nil {
			t.Errorf("%s\n got %+v %v\nwant %+v", h, got, err, b)
		}
	}
	const want = "1 run=4fK9xQ2LmP first=4211 last=4330 count=118 dropped=2 oldest=4211 crc=1a2b3c4d"
	if b, err := ParseBatch(want); string(b.AppendHeader(nil)) != want {
		t.Error(string(b.AppendHeader(nil)), err)
	}
}

func TestBatchHeaderRefused(t *testing.T) {
	const good = "1 run=r first=5 last=9 count=4 dropped=2 oldest=5 crc=00000000"
	const end = "1 run=r first=10 last=9 count=0 dropped=2 oldest=10 crc=00000000 end=1"
	for _, h := range []string{good, end} {
		if _, err := ParseBatch(h); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ header, from, to string }{
		{good, "1 ", "2 "}, {good, "1 ", ""}, {good, good, ""}, {good, good, "1"}, {good, "1 ", "1  "}, {good, "1 ", " 1 "},
		{good, "run=r ", ""}, {good, "run=r ", "run= "}, {good, "run=r ", "run=r.r "}, {good, "run=r ", "run=r run=r "}, {good, "=r", "=" + strings.Repeat("r", 65)},
		{good, "first=5 ", ""}, {good, "first=5", "first=05"}, {good, "first=5", "first=+5"}, {good, "first=5", "first=-5"}, {good, "first=5", "first="},
		{good, "first=5", "first=0"}, {good, "first=5", "first=10"}, {good, "first=5", "first=5.0"}, {good, "first=5", "first=0x5"}, {good, "first=5", "first"},
		{good, "last=9", "last=9223372036854775807"}, {good, "last=9", "last=18446744073709551616"}, {good, "last=9", "last=99999999999999999999"},
		{good, "count=4", "count=0"}, {good, "count=4", "count=6"}, {good, "count=4", "count=-1"}, {good, "count=4", "count=2"}, {good, "count=4", "count=2147483648"},
		{good, "dropped=2", "dropped=0"}, {good, "dropped=2", "dropped=6"}, {good, "dropped=2", "dropped=9"},
		{good, "oldest=5", "oldest=6"}, {good, "oldest=5", "oldest=0"},
		{good, "crc=00000000", "crc=0000000"}, {good, "crc=00000000", "crc=0000000A"}, {good, "crc=00000000", "crc=000000000"}, {good, "crc=00000000", "crc=+0000000"},
		{good, "crc=00000000", "crc=00000000 new=1"}, {good, "crc=00000000", "crc=00000000 end=1"}, {good, "crc=00000000", "crc=00000000 end=0"},
		{good, "crc=00000000", "crc=00000000\n"}, {good, "crc=00000000", "crc=00000000 "}, {good, "crc=00000000", "crc=00000000 " + strings.Repeat("x", 1000)},
		{end, "count=0", "count=1"}, {end, "first=10", "first=9"}, {end, "dropped=2", "dropped=10"}, {end, "end=1", "end=1 end=1"}, {end, "end=1", "end"},
		{good, "crc=00000000", "crc=00000000 enc=s3"}, {good, "crc=00000000", "crc=00000000 enc="}, {good, "crc=00000000", "crc=00000000 enc=s2 enc=s2"},
		{end, "end=1", "enc=s2 end=1"},
	} {
		h := strings.Replace(c.header, c.from, c.to, 1)
		if b, err := ParseBatch(h); err == nil {
			t.Errorf("%q: %+v", h, b)
		}
	}
}

func TestBatchCheck(t *testing.T) {
	b, p := batch(2, 5, 6, 9)
	if err := b.Check(p, testTail); err != nil {
		t.Fatal(err)
	}
	end := Batch{Run: "r", First: 10, Last: 9, End: true}
	if err := end.Check(nil, testTail); err != nil {
		t.Fatal(err)
	}
	other := AppendTail(nil, Identity{App: "etl", Worker: "w4", Run: testID.Run})
	replace := func(old, new string) func(p []byte) []byte {
		return func(p []byte) []byte { return bytes.Replace(p, []byte(old), []byte(new), 1) }
	}
	for _, c := range []struct {
		name    string
		corrupt func(p []byte) []byte
		want    string
	}{
		{"first line twice", func(p []byte) []byte { return append(p[:bytes.IndexByte(p, '\n')+1:bytes.IndexByte(p, '\n')+1], p...) }, "seq"},
		{"a line missing", func(p []byte) []byte { return p[bytes.IndexByte(p, '\n')+1:] }, "seq"},
		{"last line missing", func(p []byte) []byte { return p[:bytes.LastIndexByte(p[:len(p)-1], '\n')+1] }, "2 lines"},
		{"no newline at the end", func(p []byte) []byte { return p[:len(p)-1] }, "no newline"},
		{"empty", func(p []byte) []byte { return nil }, "0 lines"},
		{"empty line", func(p []byte) []byte { return append(p, '\n') }, "does not begin"},
		{"newline in a record", replace(`row loaded`, "row\nloaded"), "does not end"},
		{"another worker", replace(`"worker":"w3"`, `"worker":"w4"`), "identity"},
		{"another run", replace(`"run":"4`, `"run":"5`), "identity"},
		{"seq repeated", replace(`"seq":6`, `"seq":5`), "seq 5"},
		{"seq goes back", replace(`"seq":6`, `"seq":4`), "seq 4"},
		{"seq beyond", replace(`"seq":9`, `"seq":10`), "seq 10"},
		{"seq not first", replace(`"seq":5`, `"seq":4`), "seq 4"},
		{"seq with a zero before", replace(`"seq":6`, `"seq":06`), "identity"},
		{"seq missing", replace(`"seq":6`, `"seq":`), "identity"},
		{"seq too long", replace(`"seq":6`, `"seq":18446744073709551622`), "identity"},
		{"something behind", replace(`"seq":6}`, `"seq":6} `), "identity"},
		{"not our head", replace(`{"time":"`, `{"Time":"`), "does not begin"},
		{"bad time", replace(`2026-11-21T10`, `2026-11-21 10`), "does not begin"},
		{"short time", replace(`789Z`, `78Z`), "does not begin"},
		{"unknown level", replace(`"info"`, `"INFO"`), "does not begin"},
		{"level longer", replace(`"info"`, `"infos"`), "does not begin"},
		{"no logger", replace(`"logger"`, `"lagger"`), "does not begin"},
	} {
		q := c.corrupt(bytes.Clone(p))
		if err := b.Check(q, testTail); err == nil || !strings.Contains(err.Error(), "crc") {
			t.Errorf("%s: header's crc: %v", c.name, err)
		}
		lying := b
		lying.CRC = Checksum(q)
		if err := lying.Check(q, testTail); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := b.Check(p, other); err == nil {
		t.Error("another's tail")
	}
	if err := (Batch{End: true, CRC: b.CRC}).Check(p, testTail); err == nil {
		t.Error("an end with a payload")
	}
	count := b
	count.Count = 4
	if err := count.Check(p, testTail); err == nil {
		t.Error("count above lines")
	}
}

func TestAck(t *testing.T) {
	for text, a := range map[string]Ack{
		"1 ack run=4fK9xQ2LmP last=4330":                     {Kind: AckCommitted, Run: "4fK9xQ2LmP", Seq: 4330},
		"1 want run=4fK9xQ2LmP seq=4211":                     {Kind: AckWant, Run: "4fK9xQ2LmP", Seq: 4211},
		"1 reject run=r reason=crc is 1, header says 2 a=b":  {Kind: AckReject, Run: "r", Reason: "crc is 1, header says 2 a=b"},
		"1 reject run=r reason=":                             {Kind: AckReject, Run: "r"},
		"1 reject run=r reason=" + strings.Repeat("x", 256):  {Kind: AckReject, Run: "r", Reason: strings.Repeat("x", 256)},
		fmt.Sprintf("1 ack run=r last=%d", uint64(maxSeq-1)): {Kind: AckCommitted, Run: "r", Seq: maxSeq - 1},
	} {
		if got := string(AppendAck(nil, a)); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if got, err := ParseAck([]byte(text)); got != a || err != nil {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	if got := string(AppendAck(nil, Ack{Kind: AckReject, Run: "r", Reason: "a\nb\x00" + strings.Repeat("ö", 200)})); len(got) > 22+256 || strings.ContainsAny(got, "\n\x00") {
		t.Errorf("%q", got)
	}
	for _, s := range []string{"", "1", "1 ack", "2 ack run=r last=1", "1 ack run=r", "1 ack run=r last=", "1 ack run= last=1", "1 ack run=r seq=1",
		"1 want run=r last=1", "1 ack run=r last=1 x=2", "1 ack run=r last=01", "1 ack run=r last=-1", "1 nack run=r seq=1", "1 ack  run=r last=1",
		"1 reject run=r", "1 reject run=r reason=" + strings.Repeat("x", 257), "+OK", `{"stream":"LOGS","seq":1}`} {
		if a, err := ParseAck([]byte(s)); err == nil {
			t.Errorf("%q: %+v", s, a)
		}
	}
}
