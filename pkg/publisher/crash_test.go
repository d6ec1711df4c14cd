package publisher

import "testing"

// The texts are crash outputs of Go 1.26.8, up to the first function of the program.
func TestCrashMessage(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"panic: boom\n\tmore\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: boom"},
		{"\ngoroutine 23 [running]:\ninternal/runtime/maps.fatal({0x4c9f70?, 0x0?})\n\t/usr/local/go/src/runtime/panic.go:1181 +0x18\n" +
			"main.main.func1()\n\t/src/crash.go:17 +0x2c\ncreated by main.main in goroutine 1\n",
			"fatal error: concurrent use of a map in main.main.func1"},
		{"\ngoroutine 1 [running]:\ninternal/runtime/maps.fatal({0x4cdf95?, 0x47aaaf?})\n\t/usr/local/go/src/runtime/panic.go:1181 +0x18\n" +
			"internal/runtime/maps.(*Iter).Next(0x39acdf9c4ed8?)\n\t/usr/local/go/src/internal/runtime/maps/table.go:819 +0x86\nmain.main()\n",
			"fatal error: concurrent use of a map in main.main"},
		{"\ngoroutine 1 [running]:\ninternal/sync.fatal({0x4cc27a?, 0x4b5cc0?})\n\t/usr/local/go/src/runtime/panic.go:1191 +0x18\n" +
			"internal/sync.(*Mutex).unlockSlow(0x1e5011e06008, 0xffffffff)\n\t/usr/local/go/src/internal/sync/mutex.go:204 +0x35\n" +
			"internal/sync.(*Mutex).Unlock(...)\n\t/usr/local/go/src/internal/sync/mutex.go:198\nsync.(*Mutex).Unlock(...)\n",
			"fatal error: misuse of a lock in sync.(*Mutex).Unlock"},
		{"\ngoroutine 1 [chan receive]:\nmain.main()\n\t/src/crash.go:36 +0x2cc\n", "fatal error: all goroutines are asleep - deadlock!"},
		{"\nruntime stack:\nruntime.throw({0x4c85cc?, 0x5891c0?})\n\t/usr/local/go/src/runtime/panic.go:1229 +0x48 fp=0x7fff602705e8 sp=0x7fff602705b8 pc=0x47a0e8\n" +
			"runtime.newstack()\n\t/usr/local/go/src/runtime/stack.go:1207 +0x5fd\nruntime.morestack()\n\t/usr/local/go/src/runtime/asm_amd64.s:681 +0x7d\n\n" +
			"goroutine 1 gp=0x35b4f7f641e0 m=0 mp=0x17c0900 [running]:\nmain.main.func5(0x1, {0x2, 0x3})\n",
			"fatal error: stack overflow in main.main.func5"},
		{"\nruntime stack:\nruntime.throw({0x4ca126?, 0x210d?})\n\t/usr/local/go/src/runtime/panic.go:1229 +0x48\nruntime.sysMapOS(0x436d6c00000)\n" +
			"\t/usr/local/go/src/runtime/mem_linux.go:175 +0x13b\n\ngoroutine 1 [running]:\nruntime.mallocgc(0x400000000000)\nmain.load(0x1)\n",
			"fatal error: out of memory in main.load"},
		{"\nruntime stack:\nruntime.throw({0x4ca126?, 0x210d?})\n\t/usr/local/go/src/runtime/panic.go:1229 +0x48\nruntime.lock2(0x1)\n", "fatal error"},
		{"\ngoroutine 7 [running]:\nmain.main()\n", "fatal error in main.main"},
		{"", ""},
	} {
		if got := crashMessage(c.text); got != c.want {
			t.Errorf("%.60q...\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}
