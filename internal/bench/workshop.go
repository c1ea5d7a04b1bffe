//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// libfcgiC is hello on the FastCGI developer's kit, with its faster interface, which keeps
// no global state.
const libfcgiC = `#include <fcgiapp.h>
int main(void) {
	FCGX_Request r;
	if (FCGX_Init() || FCGX_InitRequest(&r, 0, 0)) return 1;
	while (FCGX_Accept_r(&r) >= 0) {
		FCGX_PutS("Content-Type: text/plain\r\n\r\nhello world\n", r.out);
		FCGX_Finish_r(&r);
	}
	return 1;
}
`

// A workshop is a temporary directory with the programs to measure.
type workshop struct {
	dir string
	n   int

	mu     sync.Mutex // an interrupt closes the workshop while it is in use
	groups []group
}

// newWorkshop builds the gateway and the programs.
func newWorkshop() (*workshop, error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench")
	if err != nil {
		return nil, err
	}
	w := &workshop{dir: dir}
	err = errors.Join(
		build("env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", filepath.Join(dir, "gatehouse"), "gatehouse/daemon/gatehouse"),
		w.writePrograms(),
		w.writeNothing(),
		w.compile("libfcgi", libfcgiC, "-lfcgi"))
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *workshop) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups { // of sides that have not been stopped
		g.remove()
	}
	os.RemoveAll(w.dir)
}

// newGroup makes a control newGroup for a side.
func (w *workshop) newGroup(name string) group {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := newGroup(name)
	if g != "" {
		w.groups = append(w.groups, g)
	}
	return g
}

// fill replaces {dir} by the directory.
func (w *workshop) fill(s string) string { return strings.ReplaceAll(s, "{dir}", w.dir) }

// compile builds a program of the workshop from C.
func (w *workshop) compile(name, source string, flags ...string) error {
	out := filepath.Join(w.dir, name)
	if err := os.WriteFile(out+".c", []byte(source), 0o600); err != nil {
		return err
	}
	return build("gcc", append([]string{"-O2", "-o", out, out + ".c"}, flags...)...)
}

func build(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// listenBlocking opens a blocking listening socket, as spawn-fcgi does, for C programs to
// accept on.
func listenBlocking(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}
