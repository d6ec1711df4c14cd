package logfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drivenDisk is a disk after a run of the script, with the table that was
// acknowledged. Closed or, if killed, with the process simply gone.
func drivenDisk(t *testing.T, policy Policy, closed bool) (*disk, map[string]Run) {
	t.Helper()
	m := newDisk().mount()
	d, err := openDriver(t, m, Options{FSync: policy})
	if err == nil {
		err = d.script()
	}
	if err != nil {
		t.Fatal(err)
	}
	if closed {
		if err := d.store.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		m.kill()
	}
	return m.disk, d.acked
}

func journalPath(i int) string { return logDir + "/" + stateDir + "/" + journalNames[i] }

// TestOneJournalDamaged cuts and flips one of the two journals at every byte. The
// other has everything: nothing is lost, and it is said that there was damage.
func TestOneJournalDamaged(t *testing.T) {
	disk, acked := drivenDisk(t, Never, false)
	for i := range journalNames {
		intact := disk.file(journalPath(i)).data
		ends := scanJournal(intact).ends
		lastButOne := int(ends[len(ends)-2])
		damages := []struct {
			name    string
			corrupt func([]byte, int) []byte
		}{
			{"cut", func(p []byte, at int) []byte { return p[:at] }},
			{"flip", func(p []byte, at int) []byte { p[at] ^= 1 << (at % 8); return p }},
			{"zeros", func(p []byte, at int) []byte { clear(p[at:]); return p }},
			{"garbage", func(p []byte, at int) []byte {
				return append(p[:at], "LBj\x01 and something else, long enough for a header"...)
			}},
		}
		for _, damage := range damages {
			t.Run(journalNames[i]+"/"+damage.name, func(t *testing.T) {
				for at := range intact {
					d := disk.clone()
					d.file(journalPath(i)).data = damage.corrupt(slices.Clone(intact), at)
					var events []Event
					again, err := openDriver(t, d.mount(), Options{FSync: Never, Report: func(e Event) { events = append(events, e) }})
					if err != nil {
						t.Fatalf("byte %d: %v", at, err)
					}
					if err := errors.Join(within(again.table, acked, acked), d.check(again.table)); err != nil {
						t.Fatalf("byte %d: %v; %v", at, err, events)
					}
					damaged := slices.ContainsFunc(events, func(e Event) bool { return e.Kind == JournalDamaged && e.Kept != "" })
					if damage.name == "flip" && !damaged {
						t.Fatalf("byte %d: no damage reported: %v", at, events)
					}
					// What a crash leaves is no damage: the last entry torn, or not there in one of the files.
					if damage.name == "cut" && damaged != (at < lastButOne) {
						t.Fatalf("byte %d of %d: damage reported: %v, want %v: %v", at, len(intact), damaged, at < lastButOne, events)
					}
					// Both are whole again.
					if err := again.store.Close(); err != nil {
						t.Fatal(err)
					}
					for i := range journalNames {
						s := scanJournal(d.file(journalPath(i)).data)
						if s.damaged() || s.torn > 0 || s.last() < again.store.journal.number {
							t.Fatalf("byte %d: %s is not whole afterwards: %+v", at, journalNames[i], s)
						}
					}
				}
			})
		}
	}
}

// TestBothJournalsDamaged damages both in the same place. Then something is
// lost; what is left must be consistent, nothing may be thrown away, and it must
// be said.
func TestBothJournalsDamaged(t *testing.T) {
	disk, acked := drivenDisk(t, Never, true)
	intact := disk.file(journalPath(0)).data
	other := disk.file(journalPath(1)).data
	all, err := disk.content(logDir + "/all.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	rebuilt := 0
	for at := range min(len(intact), len(other)) {
		for _, how := range []string{"cut", "flip"} {
			d := disk.clone()
			for i := range journalNames {
				n := d.file(journalPath(i))
				if how == "cut" {
					n.data = n.data[:at]
				} else {
					n.data[at] ^= 0x40
				}
			}
			var events []Event
			again, err := openDriver(t, d.mount(), Options{FSync: Never, Report: func(e Event) { events = append(events, e) }})
			if err != nil {
				t.Fatalf("%s at %d: %v", how, at, err)
			}
			if err := within(again.table, nil, acked); err != nil {
				t.Fatalf("%s at %d: %v; %v", how, at, err, events)
			}
			kinds := map[EventKind]int{}
			for _, e := range events {
				kinds[e.Kind]++
			}
			if kinds[Rebuilt] > 0 {
				rebuilt++
				for id, run := range again.table {
					if run.Last != acked[id].Last || !run.Rebuilt || run.Dropped != 0 {
						t.Fatalf("%s at %d: run %s was rebuilt as %+v", how, at, id, run)
					}
				}
			}
			// No byte of the log is gone: what is not in the file, is beside it.
			now, err := d.content(logDir + "/all.jsonl")
			if err != nil {
				t.Fatalf("%s at %d: %v; %v", how, at, err, events)
			}
			for name, n := range d.file(logDir).entries {
				if strings.HasPrefix(name, "all.jsonl.damaged-") {
					now += string(n.data)
				}
			}
			if sortedLines(now) != sortedLines(all) && !(how == "cut" && (boundary(intact, at) || boundary(other, at))) {
				t.Fatalf("%s at %d: log was %d bytes, now %d; %v", how, at, len(all), len(now), events)
			}
			if len(events) == 0 && again.table["a"] != acked["a"] {
				t.Fatalf("%s at %d: nothing said", how, at)
			}
			_ = again.store.Close()
		}
	}
	if rebuilt == 0 {
		t.Error("the table was never rebuilt")
	}
}

// boundary reports whether an entry ends at an offset: a journal cut there is
// whole, and what is not in it was never committed.
func boundary(data []byte, at int) bool {
	s := scanJournal(data[:at])
	return s.torn == 0 && len(s.bad) == 0
}

func sortedLines(text string) string {
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}

// TestJournalRemoved removes both journals: the table comes from the log files.
func TestJournalRemoved(t *testing.T) {
	disk, acked := drivenDisk(t, Every(0), true)
	disk.remove(journalPath(0))
	disk.remove(journalPath(1))
	var events []Event
	again, err := openDriver(t, disk.mount(), Options{Report: func(e Event) { events = append(events, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(within(again.table, acked, acked), disk.check(again.table)); err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].Kind != Rebuilt {
		t.Error(events)
	}
}

func TestJournalOfLaterVersion(t *testing.T) {
	disk, _ := drivenDisk(t, Never, true)
	for i := range journalNames {
		disk.file(journalPath(i)).data = []byte("logbraid journal\x00\x02 and whatever the future holds")
	}
	if _, err := openDriver(t, disk.mount(), Options{}); !errors.Is(err, ErrVersion) {
		t.Fatalf("got %v", err)
	}
	if got := disk.file(journalPath(0)).data; !strings.HasSuffix(string(got), "holds") {
		t.Error("journal was touched")
	}
}

// TestWithdrawnEntry: an entry that was in one file only when its commit failed
// must not come back when later ones follow.
func TestWithdrawnEntry(t *testing.T) {
	entry := func(number, previous, last uint64) []byte {
		return appendEntry(nil, &checkpoint{number: number, previous: previous, durable: number,
			runs: []runState{{id: "r", Run: Run{Last: last}}}})
	}
	a := slices.Concat([]byte(journalHeader), entry(1, 0, 10), entry(3, 1, 20))
	b := slices.Concat([]byte(journalHeader), entry(1, 0, 10), entry(2, 1, 99), entry(3, 1, 20))
	h := &history{base: newState(), sides: [2]scan{scanJournal(a), scanJournal(b)}}
	h.merge()
	if s := h.at(h.number); h.missing != 0 || len(h.entries) != 2 || s.runs["r"].Last != 20 {
		t.Errorf("%d missing, %d entries, %+v", h.missing, len(h.entries), s.runs)
	}
}

func TestEviction(t *testing.T) {
	var evicted []string
	m := newDisk().mount()
	s, _, err := open(logDir, Options{FS: m, MaxRuns: 3, FSync: Never, Evicted: func(id string, _ Run) { evicted = append(evicted, id) }}, true)
	if err != nil {
		t.Fatal(err)
	}
	commit := func(id string, ended bool) {
		s.Commit(Commit{Runs: []RunDelta{{id, Run{Last: 1, Ended: ended}}}}, func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	commit("open", false)
	commit("first", true)
	commit("second", true)
	commit("x", false)
	commit("y", false)
	if got := slices.Sorted(maps.Keys(s.Runs())); !slices.Equal(got, []string{"open", "x", "y"}) || !slices.Equal(evicted, []string{"first", "second"}) {
		t.Errorf("left %v, evicted %v", got, evicted)
	}
	commit("z", false) // nothing has ended: the table grows
	if got := len(s.Runs()); got != 4 {
		t.Errorf("%d runs", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _, err = open(logDir, Options{FS: m, MaxRuns: 3}, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(s.Runs())); !slices.Equal(got, []string{"open", "x", "y", "z"}) {
		t.Errorf("left after restart: %v", got)
	}
}

// TestSource: the position in a stream is part of the checkpoint.
func TestSource(t *testing.T) {
	m := newDisk().mount()
	s, _, err := open(logDir, Options{FS: m}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := Source{Stream: "LOGS", Created: time.Unix(1_800_000_000, 123).UTC(), Seq: 42, Time: time.Unix(1_800_000_001, 456).UTC()}
	s.Commit(Commit{Source: &want}, func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	m.kill()
	if s, _, err = open(logDir, Options{FS: m.disk.mount()}, true); err != nil {
		t.Fatal(err)
	}
	if got := s.Source(); got != want {
		t.Errorf("got %+v", got)
	}
}

func anyCheckpoint(t *rapid.T) *checkpoint {
	u := rapid.Uint64()
	text := rapid.String()
	c := &checkpoint{
		number:   rapid.Uint64Range(1, 1<<62).Draw(t, "number"),
		durable:  u.Draw(t, "durable"),
		snapshot: rapid.Bool().Draw(t, "snapshot"),
		medium:   text.Draw(t, "medium"),
	}
	c.previous = rapid.Uint64Range(0, c.number-1).Draw(t, "previous")
	for range rapid.IntRange(0, 5).Draw(t, "runs") {
		c.runs = append(c.runs, runState{
			id:      text.Draw(t, "id"),
			changed: u.Draw(t, "changed"),
			Run: Run{
				Subject: text.Draw(t, "subject"), Last: u.Draw(t, "last"), Dropped: u.Draw(t, "dropped"), Lost: u.Draw(t, "lost"),
				Excess: u.Draw(t, "excess"), Ended: rapid.Bool().Draw(t, "ended"), Rebuilt: rapid.Bool().Draw(t, "rebuilt"),
			},
		})
	}
	for range rapid.IntRange(0, 3).Draw(t, "evicted") {
		c.evicted = append(c.evicted, text.Draw(t, "id"))
	}
	for range rapid.IntRange(0, 5).Draw(t, "files") {
		f := fileState{
			path: text.Draw(t, "path"), generation: u.Draw(t, "generation"), length: rapid.Int64Min(0).Draw(t, "length"),
			id: FileID{u.Draw(t, "device"), u.Draw(t, "inode")}, born: rapid.Int64().Draw(t, "born"), since: u.Draw(t, "since"),
			absent: rapid.Bool().Draw(t, "absent"), unsynced: rapid.Bool().Draw(t, "unsynced"), retired: rapid.Bool().Draw(t, "retired"),
		}
		f.tail = tail{uint32(rapid.Int64Range(0, min(f.length, 1<<32-1)).Draw(t, "tail")), rapid.Uint32().Draw(t, "crc")}
		c.files = append(c.files, f)
	}
	if rapid.Bool().Draw(t, "source") {
		c.source = &Source{Stream: text.Draw(t, "stream"), Created: time.Unix(0, rapid.Int64Min(1).Draw(t, "created")).UTC(), Seq: u.Draw(t, "seq"), Time: time.Unix(0, rapid.Int64Min(1).Draw(t, "time")).UTC()}
	}
	for range rapid.IntRange(0, 2).Draw(t, "days") {
		c.days = append(c.days, day{rapid.Int64().Draw(t, "date"), u.Draw(t, "since")})
	}
	return c
}

// TestEntryRoundTrip: what is encoded is decoded, and no cut or flipped bit goes
// unnoticed.
func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCheckpoint(t)
		data := appendEntry(nil, c)
		got, n, err := decodeEntry(data)
		if err != nil || n != len(data) || fmt.Sprintf("%+v %+v", *got, got.source) != fmt.Sprintf("%+v %+v", *c, c.source) && !samePointers(got, c) {
			t.Fatalf("decoded %d of %d bytes, %v:\n%+v\n%+v", n, len(data), err, got, c)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		if _, _, err := decodeEntry(data[:at]); err == nil {
			t.Fatalf("cut at %d unnoticed", at)
		}
		data[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := decodeEntry(data); err == nil {
			t.Fatalf("flip at %d unnoticed", at)
		}
	})
}

func samePointers(a, b *checkpoint) bool {
	x, y := *a, *b
	if (x.source == nil) != (y.source == nil) || x.source != nil && *x.source != *y.source {
		return false
	}
	x.source, y.source = nil, nil
	return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y)
}

// FuzzJournal reads any bytes as a journal: no panic, and whatever is taken for
// an entry is one.
func FuzzJournal(f *testing.F) {
	full := []byte(journalHeader)
	full = appendEntry(full, &checkpoint{number: 1, durable: 1, files: []fileState{{path: "app.jsonl", generation: 1, length: 5, tail: tail{5, 7}}}})
	full = appendEntry(full, &checkpoint{number: 2, previous: 1, runs: []runState{{id: "4fK9xQ2LmP", Run: Run{Subject: "logs.etl.w3", Last: 4211}}}})
	full = appendEntry(full, &checkpoint{number: 2, previous: 2, snapshot: true, source: &Source{Stream: "LOGS", Seq: 1}})
	f.Add(full)
	for at := 0; at < len(full); at += 3 {
		f.Add(full[:at])
		flipped := slices.Clone(full)
		flipped[at] ^= 0x10
		f.Add(flipped)
	}
	f.Add([]byte("logbraid journal\x00\x02"))
	f.Add([]byte("LBj\x01\xff\xff\xff\xff"))
	f.Add(slices.Repeat([]byte(entryMarker), 50))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scanJournal(data)
		if s.end > int64(len(data)) || s.torn > int64(len(data)) {
			t.Fatalf("end %d, torn %d of %d bytes", s.end, s.torn, len(data))
		}
		good := int64(0)
		for _, c := range s.entries {
			good += int64(len(appendEntry(nil, c)))
		}
		for _, b := range s.bad {
			good += b.to - b.from
		}
		if good+s.torn > int64(len(data)) {
			t.Fatalf("%d bytes accounted for of %d", good+s.torn, len(data))
		}
		h := &history{base: newState(), sides: [2]scan{s, s}}
		h.merge()
		_ = h.at(h.number)
	})
}

// isCut reports whether e says that a journal file is missing or was cut.
func (e Event) isCut() bool {
	return e.Kind == JournalDamaged && (strings.Contains(e.Detail, "a crash can take") || strings.Contains(e.Detail, "which no crash does") ||
		strings.Contains(e.Detail, "the file is missing"))
}

// diskWithEntries is a disk after a run of the script and the process's death, with
// some entries in the journal behind its first.
func diskWithEntries(t *testing.T, policy Policy) (*disk, map[string]Run) {
	t.Helper()
	m := newDisk().mount()
	d, err := openDriver(t, m, Options{FSync: policy})
	if err == nil {
		err = d.script()
	}
	d.store.journal.limit = 1 << 20
	for range 4 {
		if err == nil {
			err = d.commit()
		}
		if err == nil {
			err = d.store.Check()
		}
	}
	if err == nil {
		err = d.commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	m.kill()
	return m.disk, d.acked
}

// TestJournalCut: a journal file that was cut, or is not there, is healed from the
// other, and it is said. After a power cut too, as far as it had been synced; and
// what a power cut may take is not.
func TestJournalCut(t *testing.T) {
	for _, policy := range policies {
		for i, name := range journalNames {
			t.Run(policy.String()+"/"+name, func(t *testing.T) {
				driven, acked := diskWithEntries(t, policy)
				intact := driven.file(journalPath(i)).data
				ends := scanJournal(intact).ends
				damages := []struct {
					name   string
					damage func(d *disk)
					said   bool // as damage, when nothing else happened
					cutOff bool // and after a power cut
				}{
					{"removed", func(d *disk) { d.remove(journalPath(i)) }, true, true},
					{"emptied", func(d *disk) { d.file(journalPath(i)).data = nil }, true, true},
					{"header only", func(d *disk) { d.cutTo(journalPath(i), len(journalHeader)) }, true, true},
					{"half a header", func(d *disk) { d.cutTo(journalPath(i), len(journalHeader)/2) }, true, true},
					{"first entry cut", func(d *disk) { d.cutTo(journalPath(i), int(ends[0])-1) }, true, true},
					// Without an interval nothing says that the copy is on the disk, and with FSYNC never nothing is.
					{"all but the first entry", func(d *disk) { d.cutTo(journalPath(i), int(ends[0])) }, true, policy != Never && (policy != Always || i == 0)},
					{"the last two entries", func(d *disk) { d.cutTo(journalPath(i), int(ends[len(ends)-3])) }, true, policy == Always && i == 0},
					{"the last entry", func(d *disk) { d.cutTo(journalPath(i), int(ends[len(ends)-2])) }, false, false},
					{"the last entry torn", func(d *disk) { d.cutTo(journalPath(i), len(intact)-1) }, false, false},
				}
				for _, c := range damages {
					for _, powerCut := range []bool{false, true} {
						d := driven.clone()
						want := c.said
						if powerCut {
							d.cuts++
							want = c.cutOff
						}
						c.damage(d)
						var events []Event
						report := func(e Event) { events = append(events, e) }
						again, err := openDriver(t, d.mount(), Options{FSync: policy, Report: report})
						if err != nil {
							t.Fatalf("%s: %v", c.name, err)
						}
						if err := errors.Join(within(again.table, acked, acked), d.check(again.table)); err != nil {
							t.Fatalf("%s: %v; %v", c.name, err, events)
						}
						if got := slices.ContainsFunc(events, Event.isCut); got != want {
							t.Errorf("%s, power cut %v: said %v, want %v: %v", c.name, powerCut, got, want, events)
						}
						if err := again.store.Close(); err != nil {
							t.Fatal(err)
						}
						// It is whole again, and said once.
						events = nil
						if again, err = openDriver(t, d.mount(), Options{FSync: policy, Report: report}); err != nil || len(events) > 0 {
							t.Errorf("%s, opened again: %v, %v", c.name, err, events)
						}
						_ = again.store.Close()
					}
				}
			})
		}
	}
}

func (d *disk) cutTo(name string, length int) {
	n := d.file(name)
	n.data = n.data[:length]
}
