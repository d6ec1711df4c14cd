//go:build !race

package logfile

const stride = 1
