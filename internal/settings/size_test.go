package settings

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "4096b": 4096, "256KiB": 256 * KiB, "256kib": 256 * KiB, "256k": 256 * KiB,
		"100MiB": 100 * MiB, "100 MiB": 100 * MiB, " 1GiB ": GiB, "1.5GiB": GiB + 512*MiB, "1MB": 1e6,
		"2T": 2 * TiB, "9223372036854775807": 1<<63 - 1, "8388607TiB": 8388607 * TiB,
	} {
		got, err := ParseSize(text)
		if err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "KiB", "-1", "+1", "1e6", "1 0", "1.2.3", "0x10", "1Mb2", "16Mbit", "NaN", "Inf",
		"9223372036854775808", "8388608TiB", "99999999999999999999999", "1,5MiB", "10%"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[Size]string{0: "0", 1: "1", 1000: "1000", KiB: "1KiB", 1536 * KiB: "1536KiB", 16 * MiB: "16MiB", GiB: "1GiB", TiB: "1TiB"} {
		if got := size.String(); got != want {
			t.Errorf("Size(%d) = %s, want %s", int64(size), got, want)
		}
		if back, err := ParseSize(size.String()); err != nil || back != size {
			t.Errorf("%s reads back as %d, %v", size, back, err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("16MiB")
	f.Add("1.5 GB")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSize(text); err == nil && s < 0 {
			t.Errorf("ParseSize(%q) = %d", text, s)
		}
	})
}
