// Package flags offers settings as command line flags. It is apart from
// internal/settings so that a worker, which has settings but no flags of ours,
// does not link a flag library.
package flags

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/settings"
)

// Add defines a flag for every setting of the specifications that has one.
// Flags take any text: the loader converts it, so that what is wrong with flags
// and variables is told together.
func Add(fs *pflag.FlagSet, specs ...any) {
	for _, f := range settings.Fields(specs...) {
		if f.Flag == "" || fs.Lookup(f.Flag) != nil {
			continue
		}
		v := &value{kind: kind(f), list: f.List}
		flag := fs.VarPF(v, f.Flag, f.Short, usage(f))
		flag.DefValue = f.Default
		if f.Default == "" {
			flag.DefValue = f.Shown
		}
		if f.Bool {
			flag.NoOptDefVal = "true"
		}
	}
}

// Given returns what settings.Loader.Flag needs.
func Given(fs *pflag.FlagSet) func(name string) ([]string, bool) {
	return func(name string) ([]string, bool) {
		flag := fs.Lookup(name)
		if flag == nil || !flag.Changed {
			return nil, false
		}
		v, ok := flag.Value.(*value)
		if !ok {
			return nil, false
		}
		return v.given, true
	}
}

// usage is the setting's sentence, begun as flags' sentences are, and its
// variable.
func usage(f settings.Field) string {
	desc := f.Desc
	if first, rest, ok := strings.Cut(desc, " "); ok && strings.ToUpper(first) != first {
		desc = strings.ToLower(first) + " " + rest
	}
	return desc + " [$" + f.Variable + "]"
}

// kind is what stands behind the flag in a help text.
func kind(f settings.Field) string {
	switch {
	case len(f.OneOf) > 1:
		return strings.Join(f.OneOf, "|")
	case f.List:
		return "url"
	case f.Bool:
		return "bool"
	case strings.HasSuffix(f.Variable, "_URL"):
		return "url"
	case strings.HasSuffix(f.Variable, "DIR"):
		return "dir"
	case f.IsFile():
		return "file"
	}
	switch f.Zero().(type) {
	case settings.Size:
		return "size"
	case int, uint64:
		return "number"
	case time.Duration:
		return "duration"
	}
	return "string"
}

// value collects the texts that a flag was given.
type value struct {
	given []string
	kind  string
	list  bool
}

// String implements pflag.Value.
func (v *value) String() string { return strings.Join(v.given, " ") }

// Type implements pflag.Value.
func (v *value) Type() string { return v.kind }

// Set implements pflag.Value; a flag that takes one value keeps the last.
func (v *value) Set(text string) error {
	if !v.list {
		v.given = v.given[:0]
	}
	v.given = append(v.given, text)
	return nil
}
