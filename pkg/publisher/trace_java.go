package publisher

import "bytes"

// The shapes are those of Throwable.printStackTrace, and of V8 and .NET, which differ in the number
// of spaces only:
//
//	Exception in thread "main" java.lang.IllegalStateException: bad
//		at app.Main.run(Main.java:10)
//		... 3 more
//	Caused by: java.io.IOException: a message
//	of two lines
//		at ...
//
// The exception that is reported is the first: the causes are its history.
func beginJava(j *joiner, line []byte) state {
	if !javaHead(line) {
		return nil
	}
	j.head = string(line)
	if hasPrefix(line, javaThread) {
		return javaMessage
	}
	return javaFirstFrame
}

const javaThread = `Exception in thread "`

func javaHead(line []byte) bool {
	if rest, ok := bytes.CutPrefix(line, []byte(javaThread)); ok {
		return bytes.IndexByte(rest, '"') >= 0
	}
	for _, prefix := range [...]string{"Unhandled exception. ", "Unhandled Exception: ", "Uncaught "} {
		line = bytes.TrimPrefix(line, []byte(prefix))
	}
	name, _, _ := bytes.Cut(line, []byte(":"))
	if !dottedName(name) {
		return false
	}
	class := name[bytes.LastIndexByte(name, '.')+1:]
	return hasSuffix(class, "Error") || hasSuffix(class, "Exception") ||
		len(class) < len(name) && len(class) > 0 && 'A' <= class[0] && class[0] <= 'Z'
}

// javaFrame: "	at app.Main.run(Main.java:10)", "    at run (/app/x.js:1:7)".
func javaFrame(line []byte) bool {
	return indented(line) && hasPrefix(bytes.TrimLeft(line, " \t"), "at ")
}

func javaFirstFrame(j *joiner, line []byte) state {
	if !javaFrame(line) {
		return nil
	}
	j.keep = true
	return javaStack
}

// javaMessage: what follows is a stack, but the message may be longer than its first line.
func javaMessage(j *joiner, line []byte) state {
	switch {
	case javaFrame(line):
		return javaStack(j, line)
	case len(line) == 0, line[0] == '{', javaHead(line):
		return nil
	}
	return javaMessage
}

func javaStack(j *joiner, line []byte) state {
	text := bytes.TrimLeft(line, " \t")
	switch {
	case javaFrame(line):
		j.keep = true
		if hasSuffix(line, " {") {
			return nodeProperties
		}
		return javaStack
	case hasPrefix(text, "Caused by: "), indented(line) && hasPrefix(text, "Suppressed: "):
		j.keep = true
		return javaMessage
	case indented(line) && (hasPrefix(text, "... ") || hasPrefix(text, "- locked ") ||
		hasPrefix(text, "---> ") || hasPrefix(text, "--- End of ")):
		j.keep = true
		return javaStack
	}
	return nil
}

// nodeProperties: V8 closes an error that has fields, or a cause, with an object.
func nodeProperties(j *joiner, line []byte) state {
	switch {
	case string(line) == "}":
		j.keep, j.over = true, true
		return nodeProperties
	case indented(line):
		j.keep = true
		return nodeProperties
	}
	return nil
}
