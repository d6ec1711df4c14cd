package settings

import "strings"

// Words is a list whose items are separated by spaces or newlines in a variable,
// and by repeating the flag on a command line (where an item may then hold
// spaces).
type Words []string

// UnmarshalText implements encoding.TextUnmarshaler, which envconfig uses.
func (w *Words) UnmarshalText(text []byte) error {
	*w = strings.Fields(string(text))
	return nil
}
