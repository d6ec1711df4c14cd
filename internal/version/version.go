// Package version says which logbraid this is, from what the Go toolchain
// writes into every binary.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

const module = "github.com/logbraid/logbraid"

// Info is what the binary knows about its making.
type Info struct {
	Version  string `json:"version"` // v1.2.3, or "devel"
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Time     string `json:"time,omitempty"`     // of the revision, RFC 3339
	Go       string `json:"go"`
	NATS     string `json:"nats"` // of nats.go
}

// Get works in our own programs and in programs that import logbraid.
var Get = sync.OnceValue(func() Info {
	info := Info{Version: "devel"}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	info.Go = strings.TrimPrefix(build.GoVersion, "go")
	version := ""
	if build.Main.Path == module {
		version = build.Main.Version
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Revision = s.Value
			case "vcs.time":
				info.Time = s.Value
			case "vcs.modified":
				info.Modified = s.Value == "true"
			}
		}
	}
	for _, dep := range build.Deps {
		switch dep.Path {
		case module:
			version = dep.Version
		case "github.com/nats-io/nats.go":
			info.NATS = dep.Version
		}
	}
	if version != "" && version != "(devel)" {
		info.Version = version
	}
	return info
})

// String is the version, and the revision where it adds something.
func (i Info) String() string {
	if i.Version == "devel" && i.Revision != "" {
		s := "devel-" + i.Revision[:min(12, len(i.Revision))]
		if i.Modified {
			s += "+changes"
		}
		return s
	}
	return i.Version
}
