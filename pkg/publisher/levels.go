package publisher

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/logbraid/logbraid/pkg/record"
)

// defaultLevel is the root's level until somebody sets one.
const defaultLevel = record.Info

// A levelSet holds the level of every logger by its dotted name: a name without a level of its
// own has that of its nearest ancestor, "etl.load" that of "etl", and "etl" the root's, whose
// name is empty. Readers never lock: they load an immutable table, which writers replace.
//
// Whether the root's level was set by somebody matters to front ends whose library has levels of
// its own (logrus, zap, zerolog): the default must not swallow what that library was told to let
// through, while a level that an operator set applies to every record.
type levelSet struct {
	now atomic.Pointer[levelTable] // nil: the default
	mu  sync.Mutex                 // serialises writers
}

// A levelTable is one state of a levelSet. Only the cache inside it changes.
type levelTable struct {
	gen   uint64 // 1, 2, 3, ...: lets a Logger know that the level it remembers is old
	root  record.Level
	given bool                    // the root's level was set, it is not the default
	names map[string]record.Level // the other names that were set

	// cache is a hash table that never grows, so that it stays small whatever names a program makes
	// up: a name stands in one of the levelWays slots from its hash on, and the first of them is given
	// to the newcomer when all are taken. A slot is replaced as a whole; two writers of one slot cost
	// each other a lookup, nothing else.
	cache [256]atomic.Pointer[levelEntry]
}

// levelWays keeps names that hash alike from driving each other out, at an allocation per call.
const levelWays = 4

type levelEntry struct {
	name  string
	level record.Level
	given bool
}

var (
	unsetLevels = levelTable{gen: 1, root: defaultLevel}
	levelSeed   = maphash.MakeSeed()
)

func (s *levelSet) table() *levelTable {
	if t := s.now.Load(); t != nil {
		return t
	}
	return &unsetLevels
}

// of returns the level of a logger, and whether somebody set it for the logger or an ancestor.
func (t *levelTable) of(name string) (level record.Level, given bool) {
	if len(t.names) == 0 {
		return t.root, t.given
	}
	hash := maphash.String(levelSeed, name)
	slot := &t.cache[hash%uint64(len(t.cache))]
	for way := range uint64(levelWays) {
		at := &t.cache[(hash+way)%uint64(len(t.cache))]
		e := at.Load()
		if e == nil {
			slot = at
			break
		}
		if e.name == name {
			return e.level, e.given
		}
	}
	e := &levelEntry{name: strings.Clone(name)}
	e.level, e.given = t.resolve(name)
	slot.Store(e)
	return e.level, e.given
}

// resolve walks up the dots.
func (t *levelTable) resolve(name string) (record.Level, bool) {
	for name != "" {
		if l, ok := t.names[name]; ok {
			return l, true
		}
		name = name[:max(0, strings.LastIndexByte(name, '.'))]
	}
	return t.root, t.given
}

// enabled reports whether a logger without levels of its own logs at level.
func (s *levelSet) enabled(name string, level record.Level) bool {
	threshold, _ := s.table().of(name)
	return level >= threshold
}

// admits reports whether a record that some other library let through may pass: only a level that
// somebody set holds it back.
func (s *levelSet) admits(name string, level record.Level) bool {
	threshold, given := s.table().of(name)
	return !given || level >= threshold
}

// admitsLine is admits for a record whose logger and level came from outside.
func (s *levelSet) admitsLine(l *record.Line) bool {
	if t := s.table(); !t.given && len(t.names) == 0 {
		return true
	}
	return s.admits(string(l.Logger()), l.Level())
}

// change replaces the table by what edit makes of a copy of it.
func (s *levelSet) change(edit func(t *levelTable)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table()
	t := &levelTable{gen: old.gen + 1, root: old.root, given: old.given, names: maps.Clone(old.names)}
	edit(t)
	s.now.Store(t)
}

// set gives one logger a level; 0 takes it away again.
func (s *levelSet) set(name string, level record.Level) {
	s.change(func(t *levelTable) {
		switch {
		case name == "" && level == 0:
			t.root, t.given = defaultLevel, false
		case name == "":
			t.root, t.given = level, true
		case level == 0:
			delete(t.names, name)
		default:
			if t.names == nil {
				t.names = make(map[string]record.Level)
			}
			t.names[name] = level
		}
	})
}

// replace puts the levels of spec in place of all that were set.
func (s *levelSet) replace(spec levelSpec) {
	s.change(func(t *levelTable) {
		t.root, t.given, t.names = defaultLevel, spec.root != 0, spec.names
		if t.given {
			t.root = spec.root
		}
	})
}

// A levelSpec is a parsed "info,etl.load=debug"; root is 0 where no level stands alone.
type levelSpec struct {
	root  record.Level
	names map[string]record.Level
}

// parseLevels reads a list of levels, separated by commas: LEVEL for the root, NAME=LEVEL for a
// logger and those below it. The empty list sets nothing. The error tells every problem.
func parseLevels(list string) (levelSpec, error) {
	spec := levelSpec{names: make(map[string]record.Level)}
	var problems []error
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, text, named := strings.Cut(item, "=")
		if !named {
			name, text = "", item
		}
		name = strings.TrimSpace(name)
		level, err := record.ParseLevel(text)
		switch {
		case named && name == "*":
			add("%q: the level of all loggers stands alone, as in \"info\"", item)
		case named && strings.HasSuffix(name, ".*"):
			add("%q: a level applies to the loggers below as well, write %q", item, strings.TrimSuffix(name, ".*")+"="+text)
		case named && !validLoggerName(name):
			add("%q: %q is not a logger's name, as in \"etl.load=debug\"", item, name)
		case err != nil:
			add("%q: %w", item, err)
		case !named && spec.root != 0:
			add("%q: the level of all loggers is given twice", item)
		case named && spec.names[name] != 0:
			add("%q: the level of %q is given twice", item, name)
		case !named:
			spec.root = level
		default:
			spec.names[name] = level
		}
	}
	if len(problems) > 0 {
		return levelSpec{}, fmt.Errorf("parse levels: %w", errors.Join(problems...))
	}
	return spec, nil
}

// validLoggerName reports whether no element between the dots is empty.
func validLoggerName(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if part == "" {
			return false
		}
	}
	return true
}

// SetLevel sets the level from which on a logger, and those below it that have none of their own,
// let records through: the change counts for the next log call. The name "" stands for the root.
// Level 0 takes the logger's own level away, so that it inherits again.
// It may be called at any time, from any goroutine.
func (p *Publisher) SetLevel(logger string, level record.Level) {
	p.levels.set(logger, level)
	p.logrus.follow(p)
}

// SetLevels replaces all levels by a list like LOGBRAID_LEVELS, "info,etl.load=debug". If the list
// has a mistake it changes nothing; the error tells every mistake.
func (p *Publisher) SetLevels(list string) error {
	spec, err := parseLevels(list)
	if err != nil {
		return err
	}
	p.levels.replace(spec)
	p.logrus.follow(p)
	return nil
}

// Level returns the level in force for a logger.
func (p *Publisher) Level(logger string) record.Level {
	level, _ := p.levels.table().of(logger)
	return level
}

// Enabled reports whether a logger lets records of a level through. It never locks.
func (p *Publisher) Enabled(logger string, level record.Level) bool {
	return p.levels.enabled(logger, level)
}
