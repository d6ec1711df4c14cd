package consumer

import (
	"strconv"

	"github.com/logbraid/logbraid/pkg/record"
)

// A matcher is the part of the filters that asks the record itself, not only who wrote it. The zero value lets
// everything pass.
type matcher struct {
	filter record.Filter
	fields map[string]string
	since  int64 // Unix nanoseconds

	// The last answer, since records of one logger come in rows.
	logger string
	passes bool
	asked  bool
}

func (m *matcher) match(r Record) bool {
	if r.Level < m.filter.Level || m.since != 0 && r.Time.UnixNano() < m.since {
		return false
	}
	if len(m.filter.Loggers) > 0 {
		if !m.asked || m.logger != r.Logger {
			m.logger, m.passes, m.asked = r.Logger, m.filter.MatchLogger(r.Logger), true
		}
		if !m.passes {
			return false
		}
	}
	for key, want := range m.fields {
		v, ok := r.Get(key)
		if !ok || !equal(v, want) {
			return false
		}
	}
	return true
}

func equal(v []byte, want string) bool {
	if s, ok := stringOf(v); ok {
		return s == want
	}
	if string(v) == want {
		return true
	}
	if v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return false
	}
	a, errA := strconv.ParseFloat(string(v), 64)
	b, errB := strconv.ParseFloat(want, 64)
	return errA == nil && errB == nil && a == b
}
