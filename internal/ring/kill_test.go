package ring

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// childEnv makes the test binary the process that is to be killed: it holds the
// path of its ring.
const childEnv = "LOGBRAID_TEST_RING"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		appendForEver(path)
	}
	os.Exit(m.Run())
}

const childWriters = 4

// appendForEver says on standard output what it has done, in one write after each
// call has returned: the seq of a record, or of a drop with the highest bit set.
func appendForEver(path string) {
	r, err := Create(path, 4<<20, testID, "logs")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range childWriters {
		wg.Go(func() {
			for i := 0; ; i++ {
				seq, err := r.Append(body(record.Info, 0, fmt.Sprintf("%d %d", w, i)), 100)
				if errors.Is(err, ErrFull) {
					seq, err = r.Drop(record.Info, Full)
					seq |= 1 << 63
				}
				if err != nil {
					os.Exit(1)
				}
				if _, err := os.Stdout.Write(binary.LittleEndian.AppendUint64(nil, seq)); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	// The sender's side, so that room is given back and used again.
	wg.Go(func() {
		for {
			if r.Fill() < 50 {
				continue
			}
			if _, b, ok := r.Next(16<<10, 1000); ok {
				r.Release(b.Last)
			}
		}
	})
	wg.Wait()
}

// Whatever a call returned from is in the file after kill -9, or was released
// before, and the numbers agree.
func TestKilledProcess(t *testing.T) {
	if !Supported {
		t.Skip("no buffer files on this system")
	}
	for round, atLeast := range []int{1, 100, 5_000, 20_000, 40_000} {
		path := filepath.Join(t.TempDir(), FileName(testID))
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		accepted := map[uint64]bool{}
		var dropped, last uint64
		in := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == atLeast {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			var b [8]byte
			if _, err := io.ReadFull(in, b[:]); err != nil {
				break
			}
			v := binary.LittleEndian.Uint64(b[:])
			if v>>63 == 1 {
				dropped++
			} else {
				accepted[v] = true
			}
			last = max(last, v&^(1<<63))
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}

		r, damage, err := OpenOrphan(path)
		if err != nil || damage.Any() {
			t.Fatalf("round %d: %v, %v", round, err, damage)
		}
		lines, end := found(t, r)
		oldest := end.Last + 1
		for seq, l := range lines {
			oldest = min(oldest, seq)
			if _, err := record.Parse(bytes.TrimSuffix(l, []byte("\n"))); err != nil {
				t.Errorf("round %d: seq %d: %v", round, seq, err)
			}
		}
		for seq := range accepted {
			if seq >= oldest && lines[seq] == nil {
				t.Errorf("round %d: seq %d was accepted and is not there", round, seq)
			}
		}
		// Each writer may have had one call that did not return.
		s := r.Stats()
		if end.Last < last || end.Last > last+childWriters || end.Dropped < dropped || end.Dropped > dropped+childWriters {
			t.Errorf("round %d: told %d seqs and %d drops, found %+v", round, last, dropped, end)
		}
		if s.Admitted+s.Drops() != s.Last {
			t.Errorf("round %d: %+v does not add up", round, s)
		}
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
	}
}
