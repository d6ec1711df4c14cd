package record

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
)

// Everything that encoding/json can say, appendFloat says in the same bytes: numbers near the limits of the short
// way, decimals of few places and their neighbours, and any bits.
func TestFloatIsWhatJSONWrites(t *testing.T) {
	same := func(f float64) {
		t.Helper()
		for _, f := range []float64{f, -f, math.Nextafter(f, math.Inf(1)), math.Nextafter(f, 0)} {
			want, err := json.Marshal(f)
			if err != nil {
				continue
			}
			if got := appendFloat(nil, f, 64); string(got) != string(want) {
				t.Fatalf("%x: %s, want %s", math.Float64bits(f), got, want)
			}
		}
	}
	for _, f := range []float64{
		0, 1, 0.1, 0.25, 0.3, 1e-6, 1.5e-6, 1e-7, 999999999, 999999999.999999, 1e9, 1e15, 1e21, 123456.789, 0.1 + 0.2,
		1.0 / 3, 100.5e-6, 0.000001, 0.0000015, math.MaxFloat64, math.SmallestNonzeroFloat64,
	} {
		same(f)
	}
	r := rand.New(rand.NewPCG(1, 2))
	scales := []float64{1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9}
	for range 60_000 {
		same(float64(r.Int64N(1<<r.IntN(54))) / scales[r.IntN(len(scales))])
		same(math.Float64frombits(r.Uint64()))
		same(r.Float64() * 1e9)
	}
}

func BenchmarkAppendFloat(b *testing.B) {
	for _, v := range []struct {
		name string
		f    float64
	}{{"short", 0.25}, {"price", 1234.56}, {"long", math.Pi}} {
		b.Run(v.name, func(b *testing.B) {
			var buf [64]byte
			for b.Loop() {
				appendFloat(buf[:0], v.f, 64)
			}
		})
	}
}
