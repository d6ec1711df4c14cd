package record

import (
	"fmt"
	"slices"
	"strings"
)

// A Filter says which records a handler or a consumer gets: those that pass all four parts. The
// zero value passes everything.
//
// A list passes a name that matches one of its patterns; patterns that begin with '!' take names
// away again (a list of nothing else starts from everything). Within a pattern * stands for any
// text and ? for one character.
type Filter struct {
	Level Level // least severe level that passes

	// Loggers are matched along the dots, as levels are inherited: a pattern covers the loggers it
	// matches and everything below them. trades.* covers trades.fx and trades.fx.eu, not trades and
	// not tradesman; trades covers trades and trades.fx; *.sql covers etl.sql; **.sql covers
	// etl.load.sql, too.
	Loggers []string
	Apps    []string // matched as a whole
	Workers []string // matched as a whole
}

// MatchIdentity reports whether the records of a worker pass the filter's Apps and Workers.
func (f Filter) MatchIdentity(app, worker string) bool {
	return matchList(f.Apps, app, glob) && matchList(f.Workers, worker, glob)
}

// MatchLogger reports whether a logger passes the filter's Loggers.
func (f Filter) MatchLogger(name string) bool { return matchList(f.Loggers, name, matchTree) }

// ParsePatterns reads what a Filter's list holds from text: patterns separated by commas, with
// spaces around them that count for nothing.
func ParsePatterns(text string) ([]string, error) {
	var patterns []string
	for p := range strings.SplitSeq(text, ",") {
		if p = strings.TrimSpace(p); p == "" || p == "!" {
			return nil, fmt.Errorf("%q has an empty pattern", text)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

func matchList(patterns []string, name string, match func(pattern, name string) bool) bool {
	included := !slices.ContainsFunc(patterns, func(p string) bool { return !strings.HasPrefix(p, "!") })
	for _, p := range patterns {
		if unwanted, ok := strings.CutPrefix(p, "!"); !ok {
			included = included || match(p, name)
		} else if match(unwanted, name) {
			return false
		}
	}
	return included
}

// matchTree reports whether the pattern matches the name or one of the names above it.
func matchTree(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	head, rest, more := strings.Cut(pattern, ".")
	if head == "**" { // any number of parts, none included
		if !more {
			return true
		}
		for {
			if matchTree(rest, name) {
				return true
			}
			_, below, ok := strings.Cut(name, ".")
			if !ok {
				return false
			}
			name = below
		}
	}
	part, below, deeper := strings.Cut(name, ".")
	if !glob(head, part) {
		return false
	}
	switch {
	case !more:
		return true
	case !deeper:
		return rest == "**"
	}
	return matchTree(rest, below)
}

// glob matches a whole name; linear in time but for one level of backtracking, whatever the pattern.
func glob(pattern, name string) bool {
	p, n := 0, 0
	star, mark := -1, 0 // where the last * stands, and how much of the name it has taken
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
