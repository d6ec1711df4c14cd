// Package problem says what is wrong with a setting, in a form that its
// reader can act on: which variable or flag, what it held, why that will not
// do, and what would. A [List] carries all of them at once, because nobody
// wants to start a program five times to learn about five typing errors.
package problem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Problem is one thing wrong with one setting.
type Problem struct {
	// Setting is where the value came from, as its user wrote it: an
	// environment variable (LOGBRAID_BUFFER), a flag (--buffer), or the name
	// of a field when the value was given in code.
	Setting string
	// Value is what was given, cut and masked already where it is a secret.
	// Empty when nothing was given or when it must not be shown.
	Value string
	// Reason says what is wrong, without repeating Setting or Value.
	Reason string
	// Example is a value that would do; may be empty.
	Example string
}

// maxValue keeps a value that is pages long (a file's content pasted into a
// variable) from hiding the other problems.
const maxValue = 120

// Error is one line: setting, value, reason, example.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Setting)
	if p.Value != "" {
		v := p.Value
		if len(v) > maxValue {
			v = strings.ToValidUTF8(v[:maxValue], "") + "..."
		}
		b.WriteByte('=')
		b.WriteString(strconv.Quote(v))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(p.Reason)
	if p.Example != "" {
		b.WriteString(" (example: ")
		b.WriteString(p.Example)
		b.WriteByte(')')
	}
	return b.String()
}

// List is every problem that was found. The zero value holds none; use
// [List.Err] to turn it into an error.
type List []Problem

// Add appends a problem with a setting. value must be masked already when it
// is a secret.
func (l *List) Add(setting, value, reason, example string) {
	*l = append(*l, Problem{Setting: setting, Value: value, Reason: reason, Example: example})
}

// Err is nil when the list is empty, and the list otherwise. (A List that is
// returned as an error directly would not be nil when it is empty.)
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Error is the problem itself when there is one, and one line for each below a
// heading when there are several.
func (l List) Error() string {
	if len(l) == 1 {
		return l[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems with the settings:", len(l))
	for _, p := range l {
		b.WriteString("\n  - ")
		b.WriteString(p.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find a single Problem.
func (l List) Unwrap() []error {
	errs := make([]error, len(l))
	for i, p := range l {
		errs[i] = p
	}
	return errs
}

// In returns the problems that err carries, however deeply it is wrapped; nil
// when it carries none.
func In(err error) List {
	var l List
	if errors.As(err, &l) {
		return l
	}
	var p Problem
	if errors.As(err, &p) {
		return List{p}
	}
	return nil
}
