package settings

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/logbraid/logbraid/internal/problem"
)

// injected recognises what Kubernetes, and Docker's links before it, put into the
// environment of every container for a service whose name begins with
// "logbraid": LOGBRAID_SERVICE_HOST, LOGBRAID_PORT=tcp://10.0.0.1:4222,
// LOGBRAID_NATS_PORT_4222_TCP_ADDR and so on. Nobody wrote them, so nobody is to
// be told to correct them. (This is why no setting of ours may end in _PORT.)
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
func injected(name, value string) bool {
	return injectedName.MatchString(name) ||
		strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

var injectedName = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?$`)

// unknown finds variables with our prefix that no program of ours reads. Most
// are typing errors, whose settings would silently not apply.
func unknown(env map[string]string) problem.List {
	known := make(map[string]bool)
	for _, f := range Fields(allSpecs()...) {
		known[f.Variable] = true
	}
	var l problem.List
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, Prefix) || known[name] || injected(name, env[name]) {
			continue
		}
		// The value is not shown: it may be a secret under a misspelt name.
		reason := "there is no such setting"
		if near := Nearest(name, maps.Keys(known)); near != "" {
			reason += "; did you mean " + near + "?"
		}
		l.Add(name, "", reason, "")
	}
	return l
}
