package problem

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestProblem(t *testing.T) {
	for _, tt := range []struct {
		p    Problem
		want string
	}{
		{Problem{Setting: "--buffer", Value: "16 megs", Reason: "not a size", Example: "16MiB"}, `--buffer="16 megs": not a size (example: 16MiB)`},
		{Problem{Setting: "LOGBRAID_NATS_TOKEN", Reason: "empty"}, `LOGBRAID_NATS_TOKEN: empty`},
		{Problem{Setting: "X", Value: "a\x1b[2J\nb", Reason: "no"}, `X="a\x1b[2J\nb": no`},
		{Problem{Reason: "alone"}, `alone`},
	} {
		if got := tt.p.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	long := Problem{Setting: "X", Value: strings.Repeat("é", 1000), Reason: "no"}.Error()
	if len(long) > 2*maxValue || !strings.HasSuffix(long, `...": no`) || strings.Contains(long, `\x`) {
		t.Errorf("a long value is shown as %s", long)
	}
}

func TestList(t *testing.T) {
	var l List
	if l.Err() != nil {
		t.Error("an empty list is an error")
	}
	l.Add("A", "1", "first", "")
	if got := l.Err().Error(); got != `A="1": first` {
		t.Errorf("one problem: %s", got)
	}
	l.Add("B", "2", "second", "3")
	if got, want := l.Err().Error(), "2 problems with the settings:\n  - A=\"1\": first\n  - B=\"2\": second (example: 3)"; got != want {
		t.Errorf("two problems:\n%s\nwant:\n%s", got, want)
	}
}

func TestIn(t *testing.T) {
	list := List{{Setting: "A"}, {Setting: "B"}}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("other"), 0},
		{list, 2},
		{fmt.Errorf("start: %w", list), 2},
		{errors.Join(errors.New("other"), list), 2},
		{fmt.Errorf("start: %w", Problem{Setting: "A"}), 1},
	} {
		if got := In(tt.err); len(got) != tt.want {
			t.Errorf("In(%v) finds %d, want %d", tt.err, len(got), tt.want)
		}
	}
}
