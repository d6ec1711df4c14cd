package record

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestNumbersAreWhatStrconvWrites(t *testing.T) {
	values := []uint64{0, math.MaxUint64, math.MaxInt64, 1 << 63, 1<<63 + 1}
	for p := uint64(1); p < math.MaxUint64/10; p *= 10 {
		values = append(values, p-1, p, p+1, 10*p-1, 10*p, 10*p+1)
	}
	random := rand.New(rand.NewPCG(3, 14))
	for range 100_000 {
		values = append(values, random.Uint64()>>random.IntN(64))
	}
	for _, v := range values {
		if got, want := string(appendUint([]byte("x"), v)), "x"+strconv.FormatUint(v, 10); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, want := string(appendInt([]byte("x"), int64(v))), "x"+strconv.FormatInt(int64(v), 10); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got, want := string(appendInt(nil, -int64(v))), strconv.FormatInt(-int64(v), 10); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

func TestLenEnd(t *testing.T) {
	seqs := []uint64{0, 1<<48 - 1, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1e19 - 1, 1e19}
	for power := uint64(1); power < 1e19; power *= 10 {
		seqs = append(seqs, power-1, power, power+1)
	}
	for _, seq := range seqs {
		if got, want := LenEnd(seq), len(AppendEnd(nil, seq)); got != want {
			t.Errorf("%d: %d, want %d", seq, got, want)
		}
	}
}
