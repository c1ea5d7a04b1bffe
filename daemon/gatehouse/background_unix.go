//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"gatehouse/daemon"
)

// backgroundVariable marks the background process. Its parent in the foreground waits
// on descriptor 3 until it is ready.
const backgroundVariable = "GATEHOUSE_BACKGROUND"

// startInBackground starts this program again, in its own session, and returns when it
// is ready. Until then the new process reports errors on standard error.
func startInBackground(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(self, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), backgroundVariable+"=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("cannot start in the background: %w", err)
	}
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return nil // init adopts it when this process exits
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("failed to start in the background: %w", err)
	}
	return errors.New("failed to start in the background")
}

// inBackground reports whether this is the background process, and returns a function
// to call when it is ready, which redirects the standard descriptors to /dev/null.
func inBackground(getenv func(string) string) (yes bool, ready func() error) {
	if getenv(backgroundVariable) == "" {
		return false, nil
	}
	os.Unsetenv(backgroundVariable)
	unix.CloseOnExec(3)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	return true, func() error {
		if err != nil {
			return err
		}
		defer null.Close()
		for fd := range 3 {
			if err := unix.Dup2(int(null.Fd()), fd); err != nil {
				return err
			}
		}
		w := os.NewFile(3, "ready")
		defer w.Close()
		_, err := w.Write([]byte("\n"))
		return err
	}
}

// systemLog returns a log that goes to syslog (LOG_DAEMON), and a function to call at the end.
// It connects at once.
func systemLog(name string) (log *slog.Logger, flush func() error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, name)
	if err != nil {
		// There is no syslog, as in a container, so there is nowhere to log to.
		return slog.New(slog.DiscardHandler), func() error { return nil }
	}
	to := daemon.NewLogWriter(lines{w})
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // syslog adds its own
		}
		return a
	}})), to.Flush
}

// lines makes a message of each line.
type lines struct{ w io.Writer }

func (l lines) Write(p []byte) (n int, err error) {
	for line := range strings.Lines(string(p)) {
		if _, err := io.WriteString(l.w, strings.TrimSuffix(line, "\n")); err != nil {
			return n, err
		}
		n += len(line)
	}
	return n, nil
}
