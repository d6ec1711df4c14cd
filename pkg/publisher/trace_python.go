package publisher

import (
	"bytes"

	"github.com/logbraid/logbraid/pkg/record"
)

// The shapes are those of CPython's traceback.c and traceback.py, 3.8 to 3.14:
//
//	Traceback (most recent call last):
//	  File "x.py", line 3, in <module>
//	    f()
//	    ~^^
//	ValueError: bad
//	<blank>
//	During handling of the above exception, another exception occurred:
//	<blank>
//	Traceback (most recent call last):
//	...
//
// The exception that is reported is the last of a chain: it is the one that got away.
const (
	pyTraceback = "Traceback (most recent call last):"
	pyGroup     = "+ Exception Group Traceback (most recent call last):"
	pyDuring    = "During handling of the above exception, another exception occurred:"
	pyCause     = "The above exception was the direct cause of the following exception:"
	pyFile      = `  File "`
	pyFatal     = "Fatal Python error: "
)

func beginPython(j *joiner, line []byte) state {
	switch {
	case string(line) == pyTraceback:
		return pyFirstFrame
	case string(bytes.TrimLeft(line, " ")) == pyGroup:
		return pyGroupFirst
	case hasPrefix(line, "Exception ignored "),
		hasPrefix(line, "Exception in ") && hasSuffix(line, ":") && bytes.IndexByte(line, '"') < 0:
		return pyHeading
	case hasPrefix(line, pyFile) && bytes.Contains(line, []byte(`", line `)):
		return pySyntax
	case hasPrefix(line, pyFatal):
		j.head, j.level = string(line), record.Fatal
		return pyFault
	}
	return nil
}

// pyHeading: after "Exception in thread Thread-1 (run):".
func pyHeading(j *joiner, line []byte) state {
	switch {
	case string(line) == pyTraceback:
		return pyFirstFrame
	case string(bytes.TrimLeft(line, " ")) == pyGroup:
		return pyGroupFirst
	}
	return nil
}

func pyFirstFrame(j *joiner, line []byte) state {
	if !hasPrefix(line, pyFile) {
		return nil
	}
	j.keep = true
	return pyFrame
}

func pyFrame(j *joiner, line []byte) state {
	switch {
	case hasPrefix(line, "  "):
		j.keep = true
		return pyFrame
	case pyException(line):
		j.head, j.keep = string(line), true
		return pyAfter
	}
	return nil
}

// pySyntax: a SyntaxError in the program itself comes without the traceback's first line.
func pySyntax(j *joiner, line []byte) state {
	switch {
	case hasPrefix(line, "  "):
		return pySyntax
	case hasPrefix(line, "SyntaxError: "), hasPrefix(line, "IndentationError: "), hasPrefix(line, "TabError: "):
		j.head, j.keep = string(line), true
		return pyAfter
	}
	return nil
}

// pyAfter: the exception was told. A message of several lines can be followed only as far as it is
// indented; a chain begins with an empty line.
func pyAfter(j *joiner, line []byte) state {
	switch {
	case len(line) == 0:
		return pyBlank
	case indented(line) && !blank(line):
		j.keep = true
		return pyAfter
	}
	return nil
}

func pyBlank(j *joiner, line []byte) state {
	if string(line) == pyDuring || string(line) == pyCause {
		return pySecondBlank
	}
	return nil
}

func pySecondBlank(j *joiner, line []byte) state {
	if len(line) == 0 {
		return pyHeading
	}
	return nil
}

func pyGroupFirst(j *joiner, line []byte) state {
	if !hasPrefix(bytes.TrimLeft(line, " "), "|") {
		return nil
	}
	j.head = "" // that of the group counts, not that of an exception before it
	return pyGroupLine(j, line)
}

// pyGroupLine: the traceback of an ExceptionGroup is drawn with | and + on its left.
func pyGroupLine(j *joiner, line []byte) state {
	drawn := bytes.TrimLeft(line, " ")
	switch {
	case len(drawn) > 0 && (drawn[0] == '|' || drawn[0] == '+'):
		if rest := bytes.TrimPrefix(drawn, []byte("| ")); j.head == "" && pyException(rest) {
			j.head = string(rest)
		}
		j.keep = true
		return pyGroupLine
	case len(line) == 0 && j.head != "":
		return pyBlank
	}
	return nil
}

// pyFault: what faulthandler and Py_FatalError print.
func pyFault(j *joiner, line []byte) state {
	switch {
	case len(line) == 0:
		return pyFault
	case hasPrefix(line, "  "), hasPrefix(line, "Python runtime state:"), hasPrefix(line, "Extension modules:"),
		hasPrefix(line, "Thread 0x"), hasPrefix(line, "Current thread "), hasPrefix(line, "Current thread's C stack"):
		j.keep = true
		return pyFault
	}
	return nil
}

// pyException reports whether line is a type's dotted name, alone or followed by its message.
func pyException(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	return dottedName(name)
}

func dottedName(name []byte) bool {
	if len(name) == 0 || '0' <= name[0] && name[0] <= '9' || name[0] == '.' {
		return false
	}
	for _, c := range name {
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '_' || c == '.' || c == '$' || c >= 0x80
		if !ok && c != '<' && c != '>' { // f.<locals>.MyError
			return false
		}
	}
	return true
}
