package settings

import "strings"

// given is the text of a setting, and where it came from.
type given struct {
	values []string // empty: nothing was given, and there is no default
	list   bool     // values are items, each taken as it is
	origin string
}

// resolve finds what was given for each field: flag, variable, fallback,
// default, in this order. Given but empty is not given.
//
// Fallbacks are variables without our prefix (NATS_URL, NATS_CREDS, ...), which
// its users set for the nats command line program. They are taken together
// where they belong together, or credentials would be mixed, and sent to a
// server that they are not meant for:
//
//   - A fallback of the group "address" or "credential" counts only while
//     nothing else is given in that group.
//   - When both an address and a credential are given as ours, no fallback
//     counts at all. So a worker that an embedded master started is not
//     disturbed by its user's NATS_CA.
func (l Loader) resolve(fields []Field, env map[string]string) []given {
	all := make([]given, len(fields))
	groups := make(map[string]bool)
	for i, f := range fields {
		g, ok := l.direct(f, env)
		if !ok {
			continue
		}
		all[i] = g
		if f.group != "" {
			groups[f.group] = true
		}
		if f.url && strings.Contains(g.values[0], "@") {
			groups["credential"] = true
		}
	}
	complete := groups["address"] && groups["credential"]
	for i, f := range fields {
		if all[i].origin != "" {
			continue
		}
		all[i].origin = "default"
		if f.Default != "" {
			all[i].values = []string{f.Default}
		}
		if v, ok := env[f.Fallback]; ok && !complete && !groups[f.group] {
			all[i] = given{values: []string{v}, origin: f.Fallback}
		}
	}
	return all
}

// direct looks at the flag and at our own variable.
func (l Loader) direct(f Field, env map[string]string) (given, bool) {
	if l.Flag != nil && f.Flag != "" {
		if values, ok := l.Flag(f.Flag); ok {
			var kept []string
			for _, v := range values {
				if v = strings.TrimSpace(v); v != "" {
					kept = append(kept, v)
				}
			}
			if len(kept) > 0 {
				return given{values: kept, list: f.List, origin: "--" + f.Flag}, true
			}
		}
	}
	if v, ok := env[f.Variable]; ok {
		return given{values: []string{v}, origin: f.Variable}, true
	}
	return given{}, false
}
