package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// The main job: real work with real, irregular log output. Every Go file of a
// tree is parsed; each file is a record, each declaration one at level debug.

// bigFile is the size in bytes from which on a file is worth a warning.
const bigFile = 512 << 10

// toolchainSource is the source tree of the installed Go.
func toolchainSource(ctx context.Context) (string, error) {
	root := ""
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		root = strings.TrimSpace(string(out))
	}
	if root == "" {
		root = build.Default.GOROOT // what this binary was built with
	}
	if root == "" {
		return "", errors.New("no Go toolchain is found: give a tree of Go files with --input DIR")
	}
	return filepath.Join(root, "src"), nil
}

// sources lists the Go files under root, in an order that is the same for every
// worker. A directory that cannot be read is reported to skip.
func sources(root string, seed uint64, skip func(path string, err error)) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root:
			return err
		case err != nil:
			skip(path, err)
		case d.Type().IsRegular() && filepath.Ext(path) == ".go":
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list Go files: %w", err)
	}
	if seed != 0 {
		r := rand.New(rand.NewPCG(seed, 0))
		r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	}
	return files, nil
}

// work is what a worker has done, beside logging.
type work struct {
	Files        uint64 `json:"files"`
	Bytes        uint64 `json:"bytes"`
	Declarations uint64 `json:"declarations"`
	ParseErrors  uint64 `json:"parse_errors"`
	Interrupted  bool   `json:"interrupted,omitempty"`
}

func (w *work) add(o work) {
	w.Files += o.Files
	w.Bytes += o.Bytes
	w.Declarations += o.Declarations
	w.ParseErrors += o.ParseErrors
	w.Interrupted = w.Interrupted || o.Interrupted
}

func (w work) String() string {
	text := fmt.Sprintf("parsed %s files, %s: %s declarations, %s files with parse errors",
		count(w.Files), size(w.Bytes), count(w.Declarations), count(w.ParseErrors))
	if w.Interrupted {
		text += "; interrupted before the end"
	}
	return text
}

// A parseJob is one worker's part: of all files, those at index, index+of, ...
type parseJob struct {
	root      string
	index, of int
	seed      uint64
	pub       *publisher.Publisher

	work    work
	loggers map[string]*publisher.Logger // by directory
}

// run works until it is done or ctx ends; both are fine.
func (j *parseJob) run(ctx context.Context) error {
	j.loggers = map[string]*publisher.Logger{}
	files, err := sources(j.root, j.seed, func(path string, err error) {
		if j.index == 0 { // once is enough
			j.logger(path).Warn("directory skipped", publisher.String("path", path), publisher.Err(err))
		}
	})
	if err != nil {
		return err
	}
	for i := j.index; i < len(files); i += j.of {
		if ctx.Err() != nil {
			j.work.Interrupted = true
			return nil
		}
		j.file(files[i])
	}
	return nil
}

// logger is named after the directory's package path, with dots, so that levels
// and filters follow it: go/parser is go.parser.
func (j *parseJob) logger(dir string) *publisher.Logger {
	if l := j.loggers[dir]; l != nil {
		return l
	}
	name := filepath.Base(j.root)
	if rel, err := filepath.Rel(j.root, dir); err == nil && rel != "." {
		name = rel
	}
	l := j.pub.Named(strings.ReplaceAll(filepath.ToSlash(name), "/", "."))
	j.loggers[dir] = l
	return l
}

func (j *parseJob) file(path string) {
	began := time.Now()
	log := j.logger(filepath.Dir(path))
	name := path
	if rel, err := filepath.Rel(j.root, path); err == nil {
		name = filepath.ToSlash(rel)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		log.Error("cannot read", publisher.String("file", name), publisher.Err(err))
		return
	}
	fset := token.NewFileSet()
	// Without a name the error gives line and column alone; the file is a field.
	file, err := parser.ParseFile(fset, "", src, parser.ParseComments|parser.SkipObjectResolution)
	decls := 0
	if file != nil {
		decls = len(file.Decls)
		if log.Enabled(record.Debug) {
			for _, d := range file.Decls {
				declaration(log, fset, name, d)
			}
		}
	}
	j.work.Files++
	j.work.Bytes += uint64(len(src))
	j.work.Declarations += uint64(decls)

	level, msg := record.Info, "parsed"
	switch {
	case err != nil:
		level, msg = record.Error, "parse error"
		j.work.ParseErrors++
	case len(src) >= bigFile:
		level, msg = record.Warn, "big file"
	}
	log.Log(level, msg,
		publisher.String("file", name),
		publisher.Int("bytes", len(src)),
		publisher.Int("lines", bytes.Count(src, []byte{'\n'})),
		publisher.Int("decls", decls),
		publisher.Duration("duration", time.Since(began)),
		publisher.Err(err))
}

// declaration logs what is declared, and where.
func declaration(log *publisher.Logger, fset *token.FileSet, file string, d ast.Decl) {
	kind, name := "bad", ""
	switch d := d.(type) {
	case *ast.FuncDecl:
		kind, name = "func", d.Name.Name
		if d.Recv != nil {
			kind = "method"
		}
	case *ast.GenDecl:
		kind = d.Tok.String()
		if len(d.Specs) > 0 {
			name = specName(d.Specs[0])
		}
	}
	log.Debug("declaration",
		publisher.String("kind", kind),
		publisher.String("name", name),
		publisher.String("file", file),
		publisher.Int("line", fset.Position(d.Pos()).Line))
}

func specName(s ast.Spec) string {
	switch s := s.(type) {
	case *ast.ImportSpec:
		if s.Path != nil {
			return strings.Trim(s.Path.Value, "\"`")
		}
	case *ast.TypeSpec:
		return s.Name.Name
	case *ast.ValueSpec:
		if len(s.Names) > 0 {
			return s.Names[0].Name
		}
	}
	return ""
}
