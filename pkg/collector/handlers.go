package collector

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/problem"
)

// planHandlers checks all handlers, each by itself and against the others.
func (p *plan) planHandlers(l *problem.List) {
	urls := p.Handlers
	if len(urls) == 0 {
		urls = []string{"json://" + filepath.ToSlash(filepath.Join(p.dir, "app.jsonl"))}
	}
	if len(urls)+len(p.Extra) > maxRoutes {
		l.Add(settingHandlers, "", "names more than "+strconv.Itoa(maxRoutes)+" handlers", "")
		return
	}
	owner := make(map[string]string) // by resolved path, the URL
	for _, url := range urls {
		h := HandlerSpec{URL: url}
		before := len(*l)
		h.parse(l)
		if len(*l) == before {
			p.checkHandler(h, owner, l)
		}
		p.handlers = append(p.handlers, h)
	}
	for i, u := range p.Extra {
		switch {
		case u.Name == "" || u.Handler == nil:
			l.Add("Config.Extra", u.Name, "handler "+strconv.Itoa(i)+" lacks a name or a handler", "")
		case slices.ContainsFunc(p.Extra[:i], func(o UserHandler) bool { return o.Name == u.Name }):
			l.Add("Config.Extra", u.Name, "is the name of two handlers", "")
		}
		p.filters = append(p.filters, parseFilter(u.Filter, l))
	}
}

// checkHandler finds what is wrong with a handler URL that reads well.
func (p *plan) checkHandler(h HandlerSpec, owner map[string]string, l *problem.List) {
	if h.Format != "text" && h.Format != "json" && p.Formats[h.Format] == nil {
		l.Add(settingHandlers, h.URL, "format "+strconv.Quote(h.Format)+" is not known", "format=text")
	}
	if h.Kind == KindConsole {
		return
	}
	path, err := resolvePath(p.dir, h.Path)
	if err != nil {
		l.Add(settingHandlers, h.URL, err.Error(), examples[h.Kind])
		return
	}
	state, _, _ := strings.Cut(filepath.ToSlash(path), "/")
	switch other := owner[path]; {
	case path == rejectedName || state == stateDir:
		l.Add(settingHandlers, h.URL, "names a file of the collector's own", examples[h.Kind])
	case other != "":
		l.Add(settingHandlers, h.URL, "writes to the same file as "+other+", and a file has one handler", "logger=orders,trades")
	default:
		owner[path] = h.URL
	}
	if fixed, _, _ := strings.Cut(h.Path, "{"); !filepath.IsLocal(path) {
		if reason := checkDir(filepath.Dir(filepath.Clean(filepath.FromSlash(fixed) + "x"))); reason != "" {
			l.Add(settingHandlers, h.URL, reason, examples[h.Kind])
		}
	}
}

// stateDir is where logfile keeps lock and journal, in the log directory.
const stateDir = ".logbraid"

// names are the handlers' names in Stats, by the index of their routes.
func (p *plan) names() []string {
	var names []string
	for _, h := range p.handlers {
		names = append(names, h.URL)
	}
	for _, u := range p.Extra {
		names = append(names, u.Name)
	}
	return names
}

// openHandlers makes the router and opens the files that are known now.
func (p *plan) openHandlers(files *paths, log *diagnostics) (*router, error) {
	r := &router{}
	var l problem.List
	for i, h := range p.handlers {
		if h.Kind == KindConsole {
			r.add(h.Filter, p.openConsole(i, h))
			continue
		}
		f, err := p.openFile(i, h, files, log)
		if err != nil {
			l.Add(settingHandlers, h.URL, err.Error(), examples[h.Kind])
			continue
		}
		r.add(h.Filter, f)
	}
	for i, u := range p.Extra {
		r.add(p.filters[i], newUserHandler(len(p.handlers)+i, u, log))
	}
	if err := l.Err(); err != nil {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	return r, nil
}

func (p *plan) openConsole(index int, h HandlerSpec) *console {
	out := p.ConsoleErr
	if out == nil {
		out = os.Stderr
	}
	if h.Stream == "stdout" {
		if out = p.ConsoleOut; out == nil {
			out = os.Stdout
		}
	}
	return newConsole(index, h, out, p.NoColor, p.Formats)
}

func (p *plan) openFile(index int, h HandlerSpec, files *paths, log *diagnostics) (*fileHandler, error) {
	f := &fileHandler{index: index, paths: files, log: log}
	var err error
	if f.path, err = parseTemplate(h.Path); err != nil {
		return nil, err
	}
	if f.options, err = h.fileOptions(); err != nil {
		return nil, err
	}
	f.render = newRenderer(h.Format, p.Formats, &f.failed)
	if h.Format == "text" { // a program's own format is called by one goroutine at a time
		f.aside.render = f.render
	}
	return f, f.open()
}

func (h HandlerSpec) fileOptions() (logfile.FileOptions, error) {
	o := logfile.FileOptions{
		Rotate: h.Rotate, Every: h.Every, Keep: h.Keep, MaxAge: h.MaxAge, MaxTotal: h.MaxTotal,
	}
	var err error
	if o.Compress, err = logfile.ParseCompression(h.Compress); err != nil {
		return o, err
	}
	if h.FSync != "" {
		policy, err := logfile.ParsePolicy(h.FSync)
		if err != nil {
			return o, err
		}
		o.FSync = &policy
	}
	return o, nil
}

// close lets the handlers finish what they hold.
func (r *router) close(ctx context.Context) error {
	var errs []error
	for _, s := range r.sinks {
		errs = append(errs, s.close(ctx))
	}
	return errors.Join(errs...)
}
