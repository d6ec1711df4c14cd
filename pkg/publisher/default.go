package publisher

import (
	"sync"
	"sync/atomic"

	"github.com/logbraid/logbraid/pkg/record"
)

var (
	defaultPublisher atomic.Pointer[Publisher]
	defaultMaking    sync.Mutex // so that single-process mode is announced once
)

// Default returns what SetDefault was given last, or what the first FromEnv
// made; without either a publisher in single-process mode. It never returns nil.
func Default() *Publisher {
	if p := defaultPublisher.Load(); p != nil {
		return p
	}
	defaultMaking.Lock()
	defer defaultMaking.Unlock()
	if p := defaultPublisher.Load(); p != nil {
		return p
	}
	p, err := New(Config{})
	if err != nil {
		panic(err) // the zero Config is valid
	}
	if !defaultPublisher.CompareAndSwap(nil, p) {
		return defaultPublisher.Load()
	}
	return p
}

// SetDefault makes p the publisher of the package-level functions.
func SetDefault(p *Publisher) { defaultPublisher.Store(p) }

// Trace logs at level trace through the default publisher's root logger.
func Trace(msg string, fields ...Field) { Default().root.Log(record.Trace, msg, fields...) }

// Debug logs at level debug through the default publisher's root logger.
func Debug(msg string, fields ...Field) { Default().root.Log(record.Debug, msg, fields...) }

// Info logs at level info through the default publisher's root logger.
func Info(msg string, fields ...Field) { Default().root.Log(record.Info, msg, fields...) }

// Warn logs at level warn through the default publisher's root logger.
func Warn(msg string, fields ...Field) { Default().root.Log(record.Warn, msg, fields...) }

// Error logs at level error through the default publisher's root logger.
func Error(msg string, fields ...Field) { Default().root.Log(record.Error, msg, fields...) }

// Critical logs at level fatal through the default publisher's root logger and waits, up to
// CloseTimeout, for the record to be acknowledged. The program goes on.
func Critical(msg string, fields ...Field) { Default().root.Log(record.Fatal, msg, fields...) }

// Exception logs err with a stack, see [Logger.Exception].
func Exception(err error, msg string, fields ...Field) {
	Default().root.exception(err, msg, fields)
}

// Recover, deferred, ends a panic and logs it with its stack, see [Logger.Recover].
func Recover(msg string, fields ...Field) {
	if v := recover(); v != nil {
		Default().root.recovered(record.Error, v, msg, fields)
	}
}
