package publisher_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
)

// The test binary is also the processes that the tests kill. roleEnv chooses what
// it does; dirEnv and urlEnv say where.
const (
	roleEnv = "PUBLISHER_TEST_ROLE"
	dirEnv  = "PUBLISHER_TEST_DIR"
	urlEnv  = "PUBLISHER_TEST_URL"
)

var roles = map[string]func(cfg publisher.Config) error{
	"log for ever": logForEver,
	"shed":         shedForEver,
	"panic":        crashWith(func() { panic("the worker's last words") }),
	"map":          crashWith(writeMapConcurrently),
	"drain":        drainOnce,
	"log and exit": logAndExit,
}

// TestAsChild is not a test but what a child process runs. Its role has a
// goroutine of its own, where no test framework stands between a panic and the
// runtime.
func TestAsChild(t *testing.T) {
	role, ok := roles[os.Getenv(roleEnv)]
	if !ok {
		t.Skip("not a child")
	}
	go func() {
		err := role(publisher.Config{
			App: "etl", Worker: "child", Levels: "trace",
			Conn:      publisher.Connection{URL: os.Getenv(urlEnv)},
			BufferDir: os.Getenv(dirEnv),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}()
	select {}
}

// logForEver says after each call that has returned what it logged, in one write.
func logForEver(cfg publisher.Config) error {
	p, err := publisher.New(cfg)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			log := p.Named(fmt.Sprint(w))
			for i := 0; ; i++ {
				log.Info(fmt.Sprint(i))
				if _, err := fmt.Fprintf(os.Stdout, "%d %d\n", w, i); err != nil {
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func shedForEver(cfg publisher.Config) error {
	cfg.Overflow = publisher.Shed
	cfg.Buffer = 64 << 10
	p, err := publisher.New(cfg)
	if err != nil {
		return err
	}
	for range 5000 {
		p.Named("shed").Info("some")
	}
	fmt.Println(p.Stats().Dropped)
	select {} // until killed
}

func crashWith(f func()) func(cfg publisher.Config) error {
	return func(cfg publisher.Config) error {
		p, err := publisher.New(cfg)
		if err != nil {
			return err
		}
		p.Named("crash").Info("before")
		fmt.Println(p.Identity().Run)
		f()
		return nil
	}
}

func writeMapConcurrently() {
	m := map[int]int{}
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				m[i&15] = i
			}
		}()
	}
	select {}
}

func drainOnce(cfg publisher.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := publisher.Drain(ctx, publisher.DrainConfig{Dir: cfg.BufferDir, Conn: cfg.Conn})
	return err
}

// logAndExit is a process that forgets to close its publisher.
func logAndExit(cfg publisher.Config) error {
	p, err := publisher.New(cfg)
	if err != nil {
		return err
	}
	for i := range 10 {
		p.Named("forgetful").Info(strconv.Itoa(i))
	}
	fmt.Println(p.Identity().Run)
	return nil
}

// child is a process of a role.
type child struct {
	t   testing.TB
	cmd *exec.Cmd
	out *bufio.Reader
}

func start(t testing.TB, role, dir, url string, env ...string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsChild$")
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir, urlEnv+"="+url)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &child{t: t, cmd: cmd, out: bufio.NewReader(out)}
}

// line reads one line of the child's output.
func (c *child) line() string {
	c.t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read the child's output: %v", err)
	}
	return s[:len(s)-1]
}

func (c *child) kill() {
	c.t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
}

// wait returns what the child still had to say, and how it ended.
func (c *child) wait() (rest []string, st *os.ProcessState) {
	c.t.Helper()
	timer := time.AfterFunc(limit, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	sc := bufio.NewScanner(c.out)
	for sc.Scan() {
		rest = append(rest, sc.Text())
	}
	_ = c.cmd.Wait()
	return rest, c.cmd.ProcessState
}
