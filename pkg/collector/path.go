package collector

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/logbraid/logbraid/internal/logfile"
)

// A placeholder is a part of a handler's path that each record fills in.
type placeholder int

const (
	byLogger placeholder = iota
	byApp
	byWorker
	placeholders // how many there are
)

var placeholderNames = [placeholders]string{"logger", "app", "worker"}

// A template is a handler's path: literal[0] field[0] literal[1] ... literal[n]. Without fields it is
// one path.
type template struct {
	literals []string
	fields   []placeholder
}

// maxLiterals bounds what may stand around a placeholder in a file's name, so that the whole, with the longest
// name (160) and a generation's suffix, stays within the 255 bytes that file systems allow.
const maxLiterals = 60

// generation matches what the names of rotated, compressed and damaged files end in. A handler's own file
// must not be called so.
var generation = regexp.MustCompile(`(\.[0-9]{6,}|\.gz|\.zst|\.damaged-[0-9]+)$`)

// checkPath says what is wrong with a handler's path, or "".
func checkPath(p string) string {
	switch {
	case p == "":
		return "names no file"
	case strings.ContainsRune(p, 0):
		return "has a NUL in its path"
	case slices.Contains([]string{"", ".", ".."}, p[strings.LastIndexByte(p, '/')+1:]):
		return "names a directory, not a file"
	case generation.MatchString(p):
		return "is named as rotated files are (" + generation.FindString(p) + ")"
	}
	t, err := parseTemplate(p)
	if err != nil {
		return err.Error()
	}
	// A suffix of the template's own keeps {logger} from producing the name of another file's generation.
	if suffix := t.literals[len(t.fields)]; len(t.fields) > 0 && len(path.Ext(suffix)) < 2 {
		return "has a placeholder that no suffix such as .jsonl follows"
	}
	return ""
}

func parseTemplate(p string) (template, error) {
	var t template
	for {
		before, rest, ok := strings.Cut(p, "{")
		if strings.Contains(before, "}") {
			return t, fmt.Errorf("has a } without a { before it")
		}
		t.literals = append(t.literals, before)
		if !ok {
			break
		}
		name, after, ok := strings.Cut(rest, "}")
		field := slices.Index(placeholderNames[:], name)
		if !ok || field < 0 {
			return t, fmt.Errorf("has a placeholder that is not {logger}, {app} or {worker}")
		}
		t.fields = append(t.fields, placeholder(field))
		p = after
	}
	for i := range t.fields {
		before := t.literals[i][strings.LastIndexByte(t.literals[i], '/')+1:]
		after, _, same := strings.Cut(t.literals[i+1], "/")
		if i+1 < len(t.fields) && !same {
			return t, fmt.Errorf("has two placeholders in one file or directory name")
		}
		if len(before)+len(after) > maxLiterals {
			return t, fmt.Errorf("leaves no room for a name beside %d bytes", len(before)+len(after))
		}
	}
	return t, nil
}

// expand fills in the values, each as one harmless part of a file's name, with the suffix added to each.
func (t template) expand(v values, suffix string) string {
	var b strings.Builder
	for i, f := range t.fields {
		b.WriteString(t.literals[i])
		b.WriteString(logfile.FileName(v[f]))
		b.WriteString(suffix)
	}
	b.WriteString(t.literals[len(t.fields)])
	return b.String()
}

// other is the path for all records beyond the most files that one template may have. It is no record's
// own, because logfile.FileName puts two hexadecimal digits behind a '%'.
func (t template) other() string {
	return strings.Join(t.literals, "%other")
}

// resolvePath turns a handler's path into the one under which logfile knows the file: relative to the log
// directory where it is inside, so that a directory that is moved takes its files along; absolute otherwise.
// dir is absolute.
func resolvePath(dir, p string) (string, error) {
	p = filepath.FromSlash(p)
	if runtime.GOOS == "windows" && len(p) > 2 && p[0] == filepath.Separator && p[2] == ':' {
		p = p[1:] // file:///C:/logs/app.log
	}
	p, err := filepath.Abs(p)
	if err != nil {
		return "", fmt.Errorf("resolve path: %w", err)
	}
	if rel, err := filepath.Rel(dir, p); err == nil && filepath.IsLocal(rel) {
		return rel, nil
	}
	return p, nil
}

// paths knows which handler each file belongs to. One file has one handler: two that wrote the same records
// would write them twice. The writer owns it after the start.
type paths struct {
	dir   string // the log directory, absolute
	store *logfile.Store
	owner map[string]int // by resolved path: the route's index
}

// reserved is the owner of files that are no handler's.
const reserved = -1

func (p *paths) open(path string, route int, o logfile.FileOptions) (*logfile.File, error) {
	name, err := resolvePath(p.dir, path)
	if err != nil {
		return nil, err
	}
	f, err := p.store.File(name, o)
	if err != nil {
		return nil, err
	}
	p.owner[name] = route
	return f, nil
}

// reserve opens a file of the collector's own in the log directory.
func (p *paths) reserve(name string, o logfile.FileOptions) (*logfile.File, error) {
	return p.open(filepath.Join(p.dir, name), reserved, o)
}

// has reports whether the route has opened the path.
func (p *paths) has(path string, route int) bool {
	name, err := resolvePath(p.dir, path)
	owner, ok := p.owner[name]
	return err == nil && ok && owner == route
}

// taken reports whether another route, or the collector itself, has the path.
func (p *paths) taken(path string, route int) bool {
	name, err := resolvePath(p.dir, path)
	owner, ok := p.owner[name]
	return err == nil && ok && owner != route
}
