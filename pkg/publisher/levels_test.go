package publisher

import (
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

func mustLevels(t testing.TB, list string) *levelSet {
	t.Helper()
	spec, err := parseLevels(list)
	if err != nil {
		t.Fatal(err)
	}
	s := new(levelSet)
	s.replace(spec)
	return s
}

func TestLevelsAreInheritedAlongTheDots(t *testing.T) {
	s := mustLevels(t, "warn, etl=info ,etl.load=debug,a.b.c=error")
	for _, tt := range []struct {
		name  string
		level record.Level
	}{
		{"", record.Warn},
		{"x", record.Warn},
		{"etl", record.Info},
		{"etl.store", record.Info},
		{"etl.load", record.Debug},
		{"etl.load.csv.rows", record.Debug},
		{"etl.loader", record.Info},
		{"etlx", record.Warn},
		{"a", record.Warn},
		{"a.b", record.Warn},
		{"a.b.c", record.Error},
		{"a.b.c.", record.Error},
		{".", record.Warn},
	} {
		for range 2 { // the second time from the cache
			if got, given := s.table().of(tt.name); got != tt.level || !given {
				t.Errorf("level of %q = %v, %v; want %v, true", tt.name, got, given, tt.level)
			}
		}
	}
}

func TestLevelsDefaultIsNotImposedOnOthers(t *testing.T) {
	s := mustLevels(t, "")
	if s.enabled("x", record.Debug) || !s.enabled("x", record.Info) {
		t.Error("the default level is not info")
	}
	if !s.admits("x", record.Trace) {
		t.Error("nobody set a level, and a record that another library let through is held back")
	}
	s.set("x", record.Warn)
	if s.admits("x.y", record.Info) || !s.admits("z", record.Info) {
		t.Error("a level that was set for x does not apply to x, or applies to z")
	}
	s.set("", record.Error)
	if s.admits("z", record.Warn) {
		t.Error("a level that was set for all does not apply")
	}
	s.set("", 0)
	if !s.admits("z", record.Trace) || s.enabled("z", record.Debug) {
		t.Error("taking the root's level away does not bring the default back")
	}
}

func TestLevelsChangeAtRunTime(t *testing.T) {
	s := mustLevels(t, "info")
	var c levelCache
	if c.enabled(s, "etl.load", record.Debug) {
		t.Fatal("debug is on")
	}
	s.set("etl", record.Debug)
	if !c.enabled(s, "etl.load", record.Debug) {
		t.Error("a logger does not notice that its parent's level changed")
	}
	s.set("etl.load", record.Warn)
	if c.enabled(s, "etl.load", record.Info) {
		t.Error("a logger does not notice that its own level changed")
	}
	s.set("etl.load", 0)
	if !c.enabled(s, "etl.load", record.Debug) {
		t.Error("a logger without a level of its own does not inherit again")
	}
}

func TestParseLevelsTellsEveryMistake(t *testing.T) {
	_, err := parseLevels("loud,info,debug,etl=,etl..load=debug,*=info,etl.*=debug,a=info,a=warn,=info")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`"loud"`, `"debug": the level of all loggers is given twice`, `"etl=": parse level`,
		`"etl..load" is not a logger's name`, `"*=info": the level of all loggers stands alone`,
		`write "etl=debug"`, `the level of "a" is given twice`, `"=info": "" is not a logger's name`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s:\n%v", want, err)
		}
	}
}

func TestLevelLookupDoesNotAllocate(t *testing.T) {
	s := mustLevels(t, "info,etl.load=debug")
	var c levelCache
	// Names that hash alike, as two of three do with one seed in a hundred.
	names := []string{"etl.load.csv"}
	slot := func(name string) uint64 { return maphash.String(levelSeed, name) % uint64(len(s.table().cache)) }
	for i := 0; len(names) < 3; i++ {
		if n := fmt.Sprintf("etl.n%d", i); slot(n) == slot(names[0]) {
			names = append(names, n)
		}
	}
	for _, n := range names {
		s.enabled(n, record.Info)
	}
	if n := testing.AllocsPerRun(100, func() {
		c.enabled(s, "etl.load", record.Debug)
		for _, n := range names {
			s.enabled(n, record.Debug)
		}
	}); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func TestLevelsUnderConcurrentChange(t *testing.T) {
	s := mustLevels(t, "info")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var c levelCache
			for range 2000 {
				c.enabled(s, "a.b.c", record.Debug)
				s.enabled("a.b.d", record.Debug)
			}
		})
	}
	wg.Go(func() {
		for i := range 500 {
			s.set("a.b", record.Trace+record.Level(i%5))
		}
		s.set("a.b", record.Debug)
	})
	wg.Wait()
	var c levelCache
	if !c.enabled(s, "a.b.c", record.Debug) || !s.enabled("a.b.d", record.Debug) {
		t.Error("the last change is not in force")
	}
}

func BenchmarkEnabled(b *testing.B) {
	s := mustLevels(b, "info,etl.load=debug")
	b.Run("cached in the logger", func(b *testing.B) {
		var c levelCache
		for b.Loop() {
			c.enabled(s, "etl.load.csv", record.Trace)
		}
	})
	b.Run("by name", func(b *testing.B) {
		for b.Loop() {
			s.enabled("etl.load.csv", record.Trace)
		}
	})
}

func TestLevelsFromTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		set   string
		given bool
	}{{"LOGBRAID_APP=x", false}, {"LOGBRAID_LEVELS=", false}, {"LOGBRAID_LEVELS=info", true}} {
		cfg, err := ConfigFromEnv([]string{tt.set})
		if err != nil {
			t.Fatal(err)
		}
		if _, given := mustLevels(t, cfg.Levels).table().of("x"); given != tt.given {
			t.Errorf("%s: levels count as set: %v", tt.set, given)
		}
	}
}
