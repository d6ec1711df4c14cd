package collector

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/pkg/record"
)

// A HandlerSpec is a handler URL taken apart and checked: where the records go, which of them, and in
// what form. [ParseHandler] makes it.
//
//	console://stderr?level=warn&color=auto
//	file:///var/log/etl/app.log?level=info&rotate=100MiB&every=24h&keep=7
//	json:///var/log/etl/trades.jsonl?logger=trades.*
//	json://logs/{logger}.jsonl
type HandlerSpec struct {
	URL    string // as it was given
	Kind   Kind
	Path   string // file, json: the path with its placeholders; a relative one is relative to the working directory
	Stream string // console: "stdout" or "stderr"
	Filter record.Filter
	Format string // "text", "json", or a name in Config.Formats
	Color  string // console: "auto", "always" or "never"

	Rotate   int64         // rotate a file before it grows beyond so many bytes; 0: never by size
	Every    time.Duration // rotate a file by the clock; 0: never
	Keep     int           // rotated generations kept; 0: all
	MaxAge   time.Duration // older generations are removed; 0: none
	MaxTotal int64         // bytes that all generations may take; 0: no limit
	Compress string        // "", "gzip" or "zstd"
	FSync    string        // "", "never", "always" or a duration; "": the collector's own setting
}

// Kind is a handler URL's scheme.
type Kind string

// The kinds of handlers that a URL can name.
const (
	KindFile    Kind = "file"    // one text line per record
	KindJSON    Kind = "json"    // the records as they are
	KindConsole Kind = "console" // standard output or error
)

// kindUser is a user handler's: only filters have a meaning for it.
const kindUser Kind = "user"

// examples show one URL that works for each kind, and one value for each option; every problem ends in one of them.
var examples = map[Kind]string{
	KindFile:    "file:///var/log/etl/app.log?level=info&rotate=100MiB&keep=7",
	KindJSON:    "json://logs/app.jsonl",
	KindConsole: "console://stderr?level=warn",
	kindUser:    "level=warn&logger=trades.*",
}

// An option is one key of a handler URL's query.
type option struct {
	example string
	set     func(h *HandlerSpec, value string) error
	scope   scope
}

// scope says what an option has a meaning for.
type scope int

const (
	anywhere scope = iota // a filter
	urls                  // every URL
	files
	consoles
)

func (s scope) covers(k Kind) bool {
	switch s {
	case urls:
		return k != kindUser
	case files:
		return k == KindFile || k == KindJSON
	case consoles:
		return k == KindConsole
	}
	return true
}

var options = map[string]option{
	"level":     {"level=warn", setLevel, anywhere},
	"logger":    {"logger=trades.*", setPatterns(func(h *HandlerSpec) *[]string { return &h.Filter.Loggers }), anywhere},
	"app":       {"app=etl", setPatterns(func(h *HandlerSpec) *[]string { return &h.Filter.Apps }), anywhere},
	"worker":    {"worker=w1,w2", setPatterns(func(h *HandlerSpec) *[]string { return &h.Filter.Workers }), anywhere},
	"format":    {"format=text", setFormat, urls},
	"color":     {"color=auto", setColor, consoles},
	"rotate":    {"rotate=100MiB", setSize(func(h *HandlerSpec) *int64 { return &h.Rotate }), files},
	"every":     {"every=24h", setDuration(func(h *HandlerSpec) *time.Duration { return &h.Every }), files},
	"keep":      {"keep=7", setKeep, files},
	"max_age":   {"max_age=30d", setDuration(func(h *HandlerSpec) *time.Duration { return &h.MaxAge }), files},
	"max_total": {"max_total=10GiB", setSize(func(h *HandlerSpec) *int64 { return &h.MaxTotal }), files},
	"compress":  {"compress=zstd", setCompress, files},
	"fsync":     {"fsync=always", setFSync, files},
}

// ParseHandler reads a handler URL. It touches no file. The error is a list of every problem of the
// URL, each with an example of what would do.
func ParseHandler(handler string) (HandlerSpec, error) {
	h := HandlerSpec{URL: handler}
	var l problem.List
	h.parse(&l)
	return h, l.Err()
}

// parseFilter reads what a user handler wants.
func parseFilter(query string, l *problem.List) record.Filter {
	h := HandlerSpec{URL: query, Kind: kindUser}
	h.parseOptions(query, l)
	return h.Filter
}

func (h *HandlerSpec) parse(l *problem.List) {
	scheme, rest, ok := strings.Cut(h.URL, ":")
	h.Kind = Kind(strings.ToLower(scheme))
	example, known := examples[h.Kind]
	if !ok || !known || h.Kind == kindUser {
		l.Add(settingHandlers, h.URL, "has no known kind: console, file or json", examples[KindJSON])
		return
	}
	// By hand and not with url.Parse: in file://logs/{logger}.log the first directory stands where a
	// URL has its host, and a host may neither hold a brace nor be case sensitive.
	place, query, _ := strings.Cut(strings.TrimPrefix(rest, "//"), "?")
	place, err := url.PathUnescape(place)
	if err != nil {
		l.Add(settingHandlers, h.URL, err.Error(), example)
	}
	h.Format, h.Color = "text", "auto"
	switch h.Kind {
	case KindConsole:
		h.Stream = place
		if place == "" {
			h.Stream = "stderr"
		}
		if h.Stream != "stderr" && h.Stream != "stdout" {
			l.Add(settingHandlers, h.URL, fmt.Sprintf("writes to %q, which is neither stdout nor stderr", place), example)
		}
	case KindJSON:
		h.Format = "json"
		fallthrough
	default:
		h.Path = place
		if reason := checkPath(place); reason != "" {
			l.Add(settingHandlers, h.URL, reason, example)
		}
	}
	h.parseOptions(query, l)
}

func (h *HandlerSpec) parseOptions(query string, l *problem.List) {
	values, err := url.ParseQuery(query)
	if err != nil {
		l.Add(settingHandlers, h.URL, "options: "+err.Error(), examples[h.Kind])
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		o, ok := options[key]
		switch {
		case !ok:
			l.Add(settingHandlers, h.URL, "option "+strconv.Quote(key)+" is not one of "+h.Kind.options(), examples[h.Kind])
			continue
		case !o.scope.covers(h.Kind):
			l.Add(settingHandlers, h.URL, "option "+strconv.Quote(key)+" has no meaning for "+string(h.Kind), examples[h.Kind])
			continue
		}
		for _, value := range values[key] {
			if value == "" { // set but empty means unset, as with every setting
				continue
			}
			if err := o.set(h, value); err != nil {
				l.Add(settingHandlers, h.URL, key+": "+err.Error(), o.example)
			}
		}
	}
}

// options lists the kind's options for an error.
func (k Kind) options() string {
	var names []string
	for name, o := range options {
		if o.scope.covers(k) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func setLevel(h *HandlerSpec, value string) (err error) {
	h.Filter.Level, err = record.ParseLevel(value)
	return err
}

// setPatterns collects patterns: several in one value, separated by commas, or the option several times.
func setPatterns(field func(*HandlerSpec) *[]string) func(*HandlerSpec, string) error {
	return func(h *HandlerSpec, value string) error {
		patterns, err := record.ParsePatterns(value)
		*field(h) = append(*field(h), patterns...)
		return err
	}
}

func setFormat(h *HandlerSpec, value string) error {
	h.Format = value // names in Config.Formats are known to Start only
	return nil
}

func setColor(h *HandlerSpec, value string) error {
	return oneOf(&h.Color, value, "auto", "always", "never")
}

func setCompress(h *HandlerSpec, value string) error {
	if value == "none" {
		h.Compress = ""
		return nil
	}
	return oneOf(&h.Compress, value, "gzip", "zstd", "none")
}

func setFSync(h *HandlerSpec, value string) error {
	if value != "never" && value != "always" {
		if d, err := parseDuration(value); err != nil || d <= 0 {
			return fmt.Errorf("%q is not never, always or a duration", value)
		}
	}
	h.FSync = value
	return nil
}

func setKeep(h *HandlerSpec, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number of files", value)
	}
	h.Keep = n
	return nil
}

func setSize(field func(*HandlerSpec) *int64) func(*HandlerSpec, string) error {
	return func(h *HandlerSpec, value string) error {
		size, err := settings.ParseSize(value)
		*field(h) = int64(size)
		return err
	}
}

func setDuration(field func(*HandlerSpec) *time.Duration) func(*HandlerSpec, string) error {
	return func(h *HandlerSpec, value string) error {
		d, err := parseDuration(value)
		if err != nil || d < time.Second {
			return fmt.Errorf("%q is not a duration of at least a second", value)
		}
		*field(h) = d
		return nil
	}
}

func oneOf(field *string, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
	}
	*field = value
	return nil
}

// parseDuration adds days and weeks to what [time.ParseDuration] knows: retention is thought of in them.
func parseDuration(s string) (time.Duration, error) {
	for _, unit := range []struct {
		suffix string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}} {
		if number, ok := strings.CutSuffix(s, unit.suffix); ok {
			n, err := strconv.ParseFloat(number, 64)
			if err != nil || n < 0 || n*float64(unit.length) > float64(1<<62) {
				return 0, fmt.Errorf("parse duration: %q", s)
			}
			return time.Duration(n * float64(unit.length)), nil
		}
	}
	return time.ParseDuration(s)
}
