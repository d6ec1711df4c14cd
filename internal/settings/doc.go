// Package settings reads a program's settings: flag before environment before
// default, every problem reported at once.
//
// A specification is a struct whose fields carry envconfig's tags and a few of
// ours. The variable of a field is LOGBRAID_ and its name in capitals; with
// `split_words:"true"` BufferDir becomes BUFFER_DIR; with `envconfig:"NATS_URL"`
// the name is that one, and the variable without our prefix is read as a
// fallback. Anonymous structs are part of their parent.
//
//	tag      meaning
//	default  the value when nothing is given
//	shown    how the reference describes a default that is worked out at run time
//	desc     one sentence for the reference and for --help
//	example  a value that would do, for error messages and the reference
//	oneof    the only values allowed, separated by commas
//	secret   "true": never shown, never a flag; has a twin whose name ends in _FILE;
//	         "url": shown without user information
//	flag     the flag's name where it is not the variable's in lower case; "-" for none
//	short    a letter for the flag
//	group    which fallbacks belong together, see resolve.go
//
// The environment is read when Load is called, by programs and by functions
// named FromEnv, and nowhere else.
package settings

// Prefix begins the name of every variable of ours.
const Prefix = "LOGBRAID_"
