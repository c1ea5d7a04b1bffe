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
)

// backgroundVariable tells a process that it goes on for one that has been started in
// the foreground, which waits on descriptor 3 until it is ready.
const backgroundVariable = "GATEHOUSE_BACKGROUND"

// goOnInBackground starts this program again, in a session of its own, and returns
// when it is ready. What goes wrong before that it has told on standard error.
func goOnInBackground(args []string) error {
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
		return fmt.Errorf("it cannot go on in the background: %w", err)
	}
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return nil // it is nobody's child, once this process has ended
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("it does not start in the background: %w", err)
	}
	return errors.New("it does not start in the background")
}

// inBackground reports whether this process is one that goes on, and returns what to
// call when it is ready: that lets go of standard error.
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

// systemLog is a log that goes to syslog (LOG_DAEMON). The connection is opened at once.
func systemLog(name string) (*slog.Logger, error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, name)
	if err != nil {
		// There is none, as in a container: then nobody reads it.
		return slog.New(slog.DiscardHandler), nil
	}
	return slog.New(slog.NewTextHandler(lines{w}, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{} // syslog has its own
		}
		return a
	}})), nil
}

// lines writes without the line end.
type lines struct{ w io.Writer }

func (l lines) Write(p []byte) (int, error) {
	_, err := io.WriteString(l.w, strings.TrimSuffix(string(p), "\n"))
	return len(p), err
}
