package collector

import (
	"errors"
	"testing"
)

// A group that cannot be filled fails while older commits are under way. That these land does not mean that
// all is well.
func TestOlderCommitLandsAfterAFailure(t *testing.T) {
	f := &flight{changed: make(chan struct{}, 1)}
	older, failed := f.group(0), f.group(0)
	f.begin(older)
	f.begin(failed)
	f.fail(errors.New("no descriptors"))
	if stall, over := f.land(); over {
		t.Errorf("a stall of %v is over", stall)
	}
	if _, cause := f.stall(); cause == nil || f.broken() == nil {
		t.Error("the stall is forgotten")
	}
	if got := f.recall(); len(got) != 1 || got[0] != failed {
		t.Errorf("%d groups recalled", len(got))
	}
	again := f.group(0)
	f.begin(again)
	if _, over := f.land(); !over {
		t.Error("the end of the stall is not noticed")
	}
	if _, cause := f.stall(); cause != nil {
		t.Errorf("stalled: %v", cause)
	}
}
