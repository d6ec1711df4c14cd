package record

import (
	"slices"
	"testing"
)

func TestMatchLogger(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		pass     []string
		not      []string
	}{
		{nil, []string{"", "a", "a.b"}, nil},
		{[]string{"trades"}, []string{"trades", "trades.fx", "trades.fx.eu"}, []string{"", "tradesman", "a.trades", "Trades"}},
		{[]string{"trades.*"}, []string{"trades.fx", "trades.fx.eu", "trades."}, []string{"trades", "tradesman.x"}},
		{[]string{"*"}, []string{"", "a", "a.b"}, nil},
		{[]string{"*.sql"}, []string{"etl.sql", "etl.sql.slow"}, []string{"sql", "etl.load.sql"}},
		{[]string{"**.sql"}, []string{"sql", "etl.sql", "etl.load.sql.slow"}, []string{"mysql", "etl.nosql"}},
		{[]string{"etl.**"}, []string{"etl", "etl.x.y"}, []string{"etlx"}},
		{[]string{"etl.lo*"}, []string{"etl.load", "etl.lo", "etl.loss.x"}, []string{"etl.l"}},
		{[]string{"w?rk"}, []string{"work", "wark.x"}, []string{"wrk", "w.rk"}},
		{[]string{"orders", "trades"}, []string{"orders", "trades.x"}, []string{"other"}},
		{[]string{"!noise"}, []string{"", "etl"}, []string{"noise", "noise.x"}},
		{[]string{"etl", "!etl.debug"}, []string{"etl", "etl.load"}, []string{"etl.debug", "etl.debug.x", "x"}},
	} {
		f := Filter{Loggers: c.patterns}
		for _, name := range c.pass {
			if !f.MatchLogger(name) {
				t.Errorf("%v does not let %q pass", c.patterns, name)
			}
		}
		for _, name := range c.not {
			if f.MatchLogger(name) {
				t.Errorf("%v lets %q pass", c.patterns, name)
			}
		}
	}
}

func TestMatchIdentity(t *testing.T) {
	f := Filter{Apps: []string{"etl*"}, Workers: []string{"w*", "!w3"}}
	for _, c := range []struct {
		app, worker string
		want        bool
	}{
		{"etl", "w1", true}, {"etl.load", "w", true}, {"etl", "w3", false}, {"sim", "w1", false}, {"etl", "x", false},
	} {
		if got := f.MatchIdentity(c.app, c.worker); got != c.want {
			t.Errorf("%s/%s: %t", c.app, c.worker, got)
		}
	}
}

// The name comes from a worker: it must not be able to make matching slow.
func TestGlobIsNotExponential(t *testing.T) {
	pattern, name := "", ""
	for range 50 {
		pattern += "a*"
	}
	for range 5000 {
		name += "a"
	}
	if glob(pattern+"b", name) {
		t.Error("matches")
	}
}

func TestParsePatterns(t *testing.T) {
	got, err := ParsePatterns("trades.*, orders,!trades.test")
	if want := []string{"trades.*", "orders", "!trades.test"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "a,,b", "!", "a, !"} {
		if got, err := ParsePatterns(bad); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

// A pattern that a program made itself may be empty: it must not end the program.
func TestEmptyPattern(t *testing.T) {
	f := Filter{Loggers: []string{""}, Apps: []string{""}, Workers: []string{"!"}}
	if !f.MatchLogger("") || f.MatchIdentity("etl", "w1") || !f.MatchIdentity("", "w1") {
		t.Error("an empty pattern is not the empty name's")
	}
}
