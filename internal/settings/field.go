package settings

import (
	"reflect"
	"regexp"
	"strings"
)

// Field describes one setting; it is what flags, reference and error messages
// are made from.
type Field struct {
	Variable string // LOGBRAID_BUFFER
	Fallback string // NATS_URL; empty where there is none
	Flag     string // buffer, without dashes; empty where there is none
	Short    string // of the flag, one letter; empty where there is none
	Desc     string
	Default  string
	Shown    string
	Example  string
	OneOf    []string
	Secret   bool
	List     bool // takes several values; as a flag it may be repeated
	Bool     bool

	url   bool // may carry a credential
	group string
	name  string        // of the Go field
	value reflect.Value // settable when the specification was a pointer
}

// Fields lists the settings of some specifications (pointers to structs) in
// order. A variable that comes twice is listed twice.
func Fields(specs ...any) []Field {
	var all []Field
	for _, spec := range specs {
		all = appendFields(all, reflect.ValueOf(spec).Elem())
	}
	return all
}

func appendFields(all []Field, s reflect.Value) []Field {
	for i := range s.NumField() {
		sf := s.Type().Field(i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			all = appendFields(all, s.Field(i))
			continue
		}
		if !sf.IsExported() || sf.Tag.Get("ignored") == "true" {
			continue
		}
		all = append(all, newField(sf, s.Field(i)))
	}
	return all
}

func newField(sf reflect.StructField, v reflect.Value) Field {
	tag := sf.Tag.Get
	f := Field{
		Fallback: strings.ToUpper(tag("envconfig")),
		Desc:     tag("desc"),
		Default:  tag("default"),
		Shown:    tag("shown"),
		Example:  tag("example"),
		Short:    tag("short"),
		Secret:   tag("secret") == "true",
		List:     sf.Type.Kind() == reflect.Slice,
		Bool:     sf.Type.Kind() == reflect.Bool,
		url:      tag("secret") == "url",
		group:    tag("group"),
		name:     sf.Name,
		value:    v,
	}
	name := f.Fallback
	if name == "" {
		name = strings.ToUpper(sf.Name)
		if tag("split_words") == "true" {
			name = strings.ToUpper(splitWords(sf.Name))
		}
	}
	f.Variable = Prefix + name
	switch flag := tag("flag"); {
	case flag == "-" || f.Secret:
		// A secret on a command line can be read by every user of the machine.
	case flag != "":
		f.Flag = flag
	default:
		f.Flag = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	}
	if one := tag("oneof"); one != "" {
		f.OneOf = strings.Split(one, ",")
	}
	if f.Example == "" && len(f.OneOf) > 0 {
		f.Example = f.OneOf[0]
	}
	if f.Example == "" {
		f.Example = f.Default
	}
	return f
}

// The two patterns are envconfig's own, so that the names are too; a test holds
// the two equal.
var (
	words   = regexp.MustCompile("([^A-Z]+|[A-Z]+[^A-Z]+|[A-Z]+)")
	acronym = regexp.MustCompile("([A-Z]+)([A-Z][^A-Z]+)")
)

func splitWords(name string) string {
	var parts []string
	for _, w := range words.FindAllString(name, -1) {
		if m := acronym.FindStringSubmatch(w); len(m) == 3 {
			parts = append(parts, m[1], m[2])
		} else {
			parts = append(parts, w)
		}
	}
	return strings.Join(parts, "_")
}

// Zero is the zero value of the setting's Go type.
func (f Field) Zero() any { return reflect.Zero(f.value.Type()).Interface() }

// IsFile reports whether the setting names a file that is read.
func (f Field) IsFile() bool {
	return strings.HasSuffix(f.Variable, "_FILE") || strings.HasPrefix(f.Example, "/run/")
}
