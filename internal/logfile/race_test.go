//go:build race

package logfile

// stride: the race detector makes a call ten times as dear, and what it looks for needs no exhaustive walk. Without it
// every call has its turn.
const stride = 7
