//go:build unix

// Package analysts starts, slows, stops and kills analysts (pkg/consumer, in processes of their own) while workers write at
// full speed. Each keeps account of every seq that reaches it or that it is told of: for each run
//
//	received + missed + dropped = last - first + 1
//
// and the last is what the worker itself says it logged.
//
//	go test ./tests/analysts                  the accounts
//	go run ./tests/analysts/cmd               what they cost the writer
package analysts

import "github.com/logbraid/logbraid/tests/harness"

// Roles are what the test binary can be, beside the harness's own.
func Roles() map[string]harness.Play { return map[string]harness.Play{"analyst": play} }
