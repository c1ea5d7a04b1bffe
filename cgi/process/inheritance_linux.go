package process

import (
	"bytes"
	"math"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// markDescriptors marks all descriptors of this process close-on-exec, also those
// that it was started with and knows nothing of. What is passed on purpose, as
// os/exec does, is not touched by that.
func markDescriptors() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	fds, err := os.ReadDir("/proc/self/fd") // kernel before 5.11
	if err != nil {
		return
	}
	for _, fd := range fds {
		if n, err := strconv.Atoi(fd.Name()); err == nil && n > 2 {
			unix.CloseOnExec(n)
		}
	}
}

// internalSignals are 32 to 34, which C libraries keep for themselves: they set them
// up when they need them, and glibc's posix_spawn leaves them ignored.
const internalSignals = 7 << 31

// catchIgnored makes this process catch, and throw away, the signals that it was
// started to ignore (by nohup, say). That changes nothing for it, but its programs
// would inherit an ignored signal, while a caught one is back at its default.
// The returned function undoes it.
func catchIgnored() (stop func()) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return func() {}
	}
	_, rest, _ := bytes.Cut(text, []byte("\nSigIgn:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	if err != nil || mask == 0 {
		return func() {}
	}
	var sigs []os.Signal
	for n := range 64 {
		if mask&^internalSignals&(1<<n) != 0 {
			sigs = append(sigs, syscall.Signal(n+1))
		}
	}
	if len(sigs) == 0 {
		return func() {}
	}
	thrownAway := make(chan os.Signal, 1) // no one receives, and signal.Notify does not wait
	signal.Notify(thrownAway, sigs...)
	return func() { signal.Stop(thrownAway) }
}
