package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// ProfileVariable names the directory for CPU profiles; without it there are none.
const ProfileVariable = "BENCH_PROFILE"

// Profile takes a CPU profile of this process for go tool pprof, if it is to, until stop is called. One file per role and worker
// stays: the last round's.
func Profile(role string, worker int) (stop func(), err error) {
	dir := os.Getenv(ProfileVariable)
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", role, worker)))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}
