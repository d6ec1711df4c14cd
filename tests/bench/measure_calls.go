package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// A figure of another test program of this project, run where its module is.
func output(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		return "", fmt.Errorf("go %v in %s: %w", args, dir, err)
	}
	return string(out), nil // a bar that is not held ends that program with 1; its figures count all the same
}

var callLine = regexp.MustCompile(`(?m)^ +bars_linux_test.go:\d+: (native, 3 fields / zerolog|slog handler / JSONHandler|logrus hook / JSONFormatter) +(\d+) ns / +(\d+) ns = ([\d.]+)`)

// callCosts takes the figures of tests/frontends, which has the rivals' libraries.
func callCosts(ctx context.Context, b *Bench) ([]Bar, error) {
	limits := map[string]float64{"native": 0.85, "slog": 0.65, "logrus": 0.45}
	got := make(map[string][]float64)
	last := make(map[string][]string)
	for range b.Rounds {
		text, err := output(ctx, "../frontends", "test", "-count=1", "-run", "Bars", "-bars", "-v", ".")
		if err != nil {
			return nil, err
		}
		found := callLine.FindAllStringSubmatch(text, -1)
		if len(found) != len(limits) {
			return nil, fmt.Errorf("tests/frontends printed %d of %d figures:\n%s", len(found), len(limits), text)
		}
		for _, m := range found {
			r, err := strconv.ParseFloat(m[4], 64)
			if err != nil {
				return nil, err
			}
			got[m[1]], last[m[1]] = append(got[m[1]], r), m
		}
	}
	var bars []Bar
	for _, name := range []string{"native, 3 fields / zerolog", "slog handler / JSONHandler", "logrus hook / JSONFormatter"} {
		m := last[name]
		bars = append(bars, Bar{What: "call cost: " + name, Got: median(got[name]), Limit: limits[regexp.MustCompile(`^\w+`).FindString(name)], AtMost: true,
			Detail: fmt.Sprintf("%s ns and %s ns of CPU in the last round", m[2], m[3])})
	}
	return bars, nil
}

var emitLine = regexp.MustCompile(`(?m)^BenchmarkEmit/file/goroutines=([18])\S*\s+\d+\s+([\d.]+) ns/op`)

// goroutines takes the figures of pkg/publisher's benchmark, in which the sender throws away what it would send.
func goroutines(ctx context.Context, b *Bench) ([]Bar, error) {
	text, err := output(ctx, "../..", "test", "-run", "^$", "-bench", "Emit/file/goroutines=[18]$", "-count", strconv.Itoa(2*b.Rounds+1), "./pkg/publisher")
	if err != nil {
		return nil, err
	}
	ns := make(map[string][]float64)
	for _, m := range emitLine.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, err
		}
		ns[m[1]] = append(ns[m[1]], v)
	}
	if len(ns["1"]) == 0 || len(ns["8"]) == 0 {
		return nil, fmt.Errorf("pkg/publisher printed no figures:\n%s", text)
	}
	one, eight := median(ns["1"]), median(ns["8"])
	return []Bar{{What: "8 goroutines against 1, ns per call", Got: eight / one, Limit: 1.5, AtMost: true,
		Detail: fmt.Sprintf("%.0f ns and %.0f ns", eight, one)}}, nil
}
