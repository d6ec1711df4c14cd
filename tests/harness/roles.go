//go:build unix

package harness

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
)

const (
	roleVariable = "BRAIDTEST_ROLE"
	specVariable = "BRAIDTEST_SPEC"
)

// Play is what a role does. It returns when the role ends.
type Play func(*Role) error

// roles are what every test package's binary can be.
func roles() map[string]Play {
	return map[string]Play{
		"idle":      func(r *Role) error { r.Ready(nil); <-r.Stopped(); return nil },
		"broker":    playBroker,
		"collector": playCollector,
		"worker":    playWorker,
		"master":    playMaster,
	}
}

// Main runs the role that the environment asks for, or else run, and exits. Call it from TestMain or main. own are further roles,
// of the test package.
func Main(run func() int, own map[string]Play) {
	name := os.Getenv(roleVariable)
	if name == "" {
		os.Exit(run())
	}
	if name == "trace" { // it passes its standard input on, so it must not read it
		if err := trace(os.Getenv(specVariable)); err != nil {
			fmt.Fprintf(os.Stderr, "trace: %v\n", err)
			os.Exit(1)
		}
	}
	play := own[name]
	if play == nil {
		play = roles()[name]
	}
	if play == nil {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	role := &Role{spec: os.Getenv(specVariable), stop: make(chan struct{}), commands: make(chan string)}
	// What the role starts in its turn, and what reads the environment as a whole, sees a clean one.
	os.Unsetenv(roleVariable)
	os.Unsetenv(specVariable)
	go role.listen()
	if err := play(role); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// RoleEnv is the environment by which a role starts this binary again in a role, as a child or in its own place.
func RoleEnv(role string, spec any) ([]string, error) {
	b, err := json.Marshal(spec)
	return []string{roleVariable + "=" + role, specVariable + "=" + string(b)}, err
}

// A Role is the child's end of a Process.
type Role struct {
	spec     string
	stop     chan struct{}
	stopOnce sync.Once
	commands chan string
	mu       sync.Mutex // whole lines on standard output
}

// Spec fills v with what the parent wants.
func (r *Role) Spec(v any) error {
	if err := json.Unmarshal([]byte(r.spec), v); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	return nil
}

// Ready tells the parent that the role does what it is for, and what the parent needs to know.
func (r *Role) Ready(v any) { r.Say("ready", v) }

// Say writes one line, word and the JSON of v, to the parent.
func (r *Role) Say(word string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(os.Stdout, "%s %s\n", word, b)
}

// Stopped is closed when the parent has said stop.
func (r *Role) Stopped() <-chan struct{} { return r.stop }

// Commands are the parent's other words. A role that takes none need not read them unless the parent sends some.
func (r *Role) Commands() <-chan string { return r.commands }

// Stop is for roles that are stopped by something else than the parent, a signal.
func (r *Role) Stop() { r.stopOnce.Do(func() { close(r.stop) }) }

func (r *Role) listen() {
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF || err != nil {
			os.Exit(97) // the parent is gone
		}
		if word := line[:len(line)-1]; word == "stop" {
			r.Stop()
		} else {
			r.commands <- word
		}
	}
}
