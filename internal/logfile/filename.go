package logfile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxFileName leaves room for a template around the name, and for what
// rotation and compression append, within the 255 bytes of a directory entry.
const maxFileName = 160

// FileName turns a logger's name into one path component: an allow-list, so
// that no name can leave its directory, hide, or hit a file of the store.
//
// Lower-case letters, digits, dash, underscore and inner dots stay. Every other
// byte becomes %xx, capitals included: on a file system that ignores case,
// Orders and orders are still two files. Two different loggers never get the
// same name, except that names whose encoding exceeds 160 bytes are told apart
// by 128 bits of SHA-256.
func FileName(logger string) string {
	if logger == "" {
		return "%root" // no escape: r is no hexadecimal digit
	}
	escape := make([]bool, len(logger))
	for i := 0; i < len(logger); i++ {
		escape[i] = !allowed(logger[i])
	}
	escape[0] = escape[0] || logger[0] == '.' || deviceName(logger)
	escape[len(logger)-1] = escape[len(logger)-1] || logger[len(logger)-1] == '.'
	if dot := strings.LastIndexByte(logger, '.'); dot >= 0 && derivedSuffix(logger[dot+1:]) {
		escape[dot] = true
	}

	const digits = "0123456789abcdef"
	name := make([]byte, 0, maxFileName)
	cut := 0 // where a name that turns out too long is cut: never inside an escape
	for i := 0; i < len(logger); i++ {
		if escape[i] {
			name = append(name, '%', digits[logger[i]>>4], digits[logger[i]&15])
		} else {
			name = append(name, logger[i])
		}
		if len(name) <= maxFileName-2-32 {
			cut = len(name)
		}
		if len(name) > maxFileName {
			sum := sha256.Sum256([]byte(logger))
			return string(name[:cut]) + "%-" + hex.EncodeToString(sum[:16])
		}
	}
	return string(name)
}

func allowed(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// deviceName reports names that Windows takes for devices, whatever extension
// follows.
func deviceName(logger string) bool {
	base, _, _ := strings.Cut(logger, ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return true
	}
	if len(base) == 4 && (base[:3] == "com" || base[:3] == "lpt") {
		return '0' <= base[3] && base[3] <= '9'
	}
	return false
}
