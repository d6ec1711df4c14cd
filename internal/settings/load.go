package settings

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
)

// Load fills specifications (pointers to structs) from the environment and
// their defaults. The error is a [problem.List] of everything that is wrong;
// the specifications are then filled as far as their values could be read.
func Load(specs ...any) error {
	_, err := Loader{}.Load(specs...)
	return err
}

// A Loader says where to read from.
type Loader struct {
	// Environ is in the form of os.Environ; nil means os.Environ().
	Environ []string
	// Flag returns what was given on the command line for a flag (without
	// dashes); nil means that there are no flags.
	Flag func(name string) (values []string, given bool)
}

// Value is a setting as it stands after loading.
type Value struct {
	Field
	// Text is the value as it would be written; secrets are masked.
	Text string
	// Origin is what set it: "--buffer", "LOGBRAID_BUFFER", "NATS_URL", or
	// "default".
	Origin string
}

// A checker is a specification that embeds nothing, or an embedded part of one,
// that knows more about its values than their types say. It names settings by their variables.
type checker interface{ Problems() problem.List }

// Load fills the specifications and returns every setting with its origin,
// also when there are problems.
func (l Loader) Load(specs ...any) ([]Value, error) {
	env := environment(l.Environ)
	var problems problem.List
	fields := Fields(specs...)
	given := l.resolve(fields, env)

	values := make([]Value, len(fields))
	origins := make(map[string]string)
	for i, f := range fields {
		g := given[i]
		values[i] = Value{Field: f, Origin: g.origin}
		if g.origin != "default" {
			origins[f.Variable] = g.origin
		}
		if err := assign(f, g); err != nil {
			problems.Add(f.shownAs(g.origin), f.mask(strings.Join(g.values, " ")), err.Error(), f.Example)
		}
		values[i].Text = f.text()
	}
	for _, spec := range specs {
		for _, c := range checkers(reflect.ValueOf(spec)) {
			for _, p := range c.Problems() {
				problems = append(problems, named(p, origins))
			}
		}
	}
	problems = append(problems, unknown(env)...)
	return values, problems.Err()
}

// Merge adds problems that were found after Load, and that are named by
// variables, to those that Load returned as its error. They come to be named by
// the flags or fallbacks that the values came from, as users wrote them. Of a
// setting that Load complained about they say nothing more: they judge the
// default that it was left with, or repeat what is known.
func Merge(loaded error, values []Value, more problem.List) problem.List {
	told := problem.In(loaded)
	origins := make(map[string]string)
	for _, v := range values {
		if v.Origin != "default" {
			origins[v.Variable] = v.Origin
		}
	}
	all := slices.Clip(told)
	for _, p := range more {
		p = named(p, origins)
		if !slices.ContainsFunc(told, func(t problem.Problem) bool { return t.Setting == p.Setting }) {
			all = append(all, p)
		}
	}
	return all
}

var variable = regexp.MustCompile(Prefix + `[A-Z0-9_]+`)

func named(p problem.Problem, origins map[string]string) problem.Problem {
	rename := func(name string) string {
		if origin, ok := origins[name]; ok {
			return origin
		}
		return name
	}
	p.Setting = variable.ReplaceAllStringFunc(p.Setting, rename)
	p.Reason = variable.ReplaceAllStringFunc(p.Reason, rename)
	return p
}

func (f Field) shownAs(origin string) string {
	if origin == "default" {
		return f.Variable
	}
	return origin
}

// environment keeps what is set and not empty. White space around a value, such
// as the newline at the end of a secret's file, is not meant.
func environment(environ []string) map[string]string {
	if environ == nil {
		environ = os.Environ()
	}
	env := make(map[string]string)
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if value = strings.TrimSpace(value); value != "" {
			env[name] = value
		}
	}
	return env
}

// assign converts and stores a value, and says what is wrong with it in words
// that a user of the setting understands.
func assign(f Field, g given) error {
	if len(g.values) == 0 {
		return nil
	}
	if f.List && g.list {
		f.value.Set(reflect.ValueOf(g.values).Convert(f.value.Type()))
		return nil
	}
	text := g.values[len(g.values)-1] // of a flag given twice, the last counts
	if len(f.OneOf) > 0 {
		i := slices.IndexFunc(f.OneOf, func(one string) bool { return strings.EqualFold(one, text) })
		if i < 0 {
			return fmt.Errorf("must be %s", either(f.OneOf))
		}
		text = f.OneOf[i]
	}
	v, err := convert(f, text)
	if err != nil {
		return err
	}
	f.value.Set(v)
	return nil
}

func either(values []string) string {
	last := len(values) - 1
	if last == 0 {
		return values[0]
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// convert has envconfig turn text into the field's type. envconfig stops at its
// first error, and takes a variable that is set but empty as a value; so it is
// given one field at a time, its text as the default of a variable that nobody
// can set.
func convert(f Field, text string) (reflect.Value, error) {
	typ := f.value.Type()
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: f.name,
		Type: typ,
		Tag:  reflect.StructTag("default:" + strconv.Quote(text)),
	}}))
	if err := envconfig.Process("\x00", one.Interface()); err != nil {
		// The error repeats the value and names Go types.
		if pe, ok := err.(*envconfig.ParseError); ok {
			err = pe.Err
		}
		switch {
		case typ == reflect.TypeFor[time.Duration]():
			err = fmt.Errorf("not a duration: a number and ms, s, m or h")
		case typ.Kind() == reflect.Bool:
			err = fmt.Errorf("not true or false")
		case typ.Kind() >= reflect.Int && typ.Kind() <= reflect.Uint64 && typ.PkgPath() == "":
			err = fmt.Errorf("not a whole number in range")
		}
		return reflect.Value{}, err
	}
	return one.Elem().Field(0), nil
}

// checkers finds them in a specification: the structs that it embeds, or itself
// when it embeds none. (A struct that embeds one checker has its method too.)
func checkers(spec reflect.Value) []checker {
	var found []checker
	embeds := false
	s := spec.Elem()
	for i := range s.NumField() {
		if sf := s.Type().Field(i); sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			found = append(found, checkers(s.Field(i).Addr())...)
			embeds = true
		}
	}
	if c, ok := spec.Interface().(checker); ok && !embeds {
		found = append(found, c)
	}
	return found
}

// text shows the value as it would be written.
func (f Field) text() string {
	if f.value.IsZero() && f.Default == "" {
		return ""
	}
	switch v := f.value.Interface().(type) {
	case Words:
		return strings.Join(v, " ")
	case string:
		return f.mask(v)
	default:
		return fmt.Sprint(v)
	}
}

// mask hides a secret, and what may be one in a URL.
func (f Field) mask(text string) string {
	switch {
	case text == "":
		return ""
	case f.Secret:
		return "xxxxx"
	case f.url:
		return natsconn.Redact(text)
	}
	return text
}
