//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/fastcgi"
)

// peerVariable names, in the environment, the peer that this program is.
const peerVariable = "GATEHOUSE_BENCH_PEER"

// A side is a program that is measured. In its arguments and environment
// {socket} stands for the socket it must listen on, and {dir} for the folder of
// the CGI programs.
type side struct {
	name    string
	program string // "" is this program itself
	args    []string
	env     []string
}

func gateway(app string) side {
	return side{"gatehouse", "{dir}/gatehouse", []string{"serve", "--fastcgi", "unix:{socket}", "--app", app}, nil}
}

func peer(name string) side {
	return side{name, "", nil, []string{peerVariable + "=" + name, "GATEHOUSE_BENCH_SOCKET={socket}"}}
}

func fcgiwrap(processes int) side {
	return side{fmt.Sprintf("fcgiwrap -c %d", processes), "fcgiwrap", []string{"-c", fmt.Sprint(processes), "-s", "unix:{socket}"}, nil}
}

// servePeer is this program as a peer: hello behind a FastCGI library.
func servePeer(name string) error {
	l, err := net.Listen("unix", os.Getenv("GATEHOUSE_BENCH_SOCKET"))
	if err != nil {
		return err
	}
	body := []byte("hello world\n")
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	})
	if name == "net/http/fcgi" {
		return fcgi.Serve(l, hello)
	}
	return fastcgi.Serve(l, hello)
}

// A workshop is a temporary folder with what is measured in it.
type workshop struct {
	dir string
	n   int
}

const helloC = `#include <stdio.h>
int main(void) { fputs("Content-Type: text/plain\r\n\r\nhello world\n", stdout); return 0; }
`

// newWorkshop builds the gateway, and the CGI program.
func newWorkshop() (*workshop, error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench")
	if err != nil {
		return nil, err
	}
	w := &workshop{dir: dir}
	err = os.WriteFile(filepath.Join(dir, "hello.c"), []byte(helloC), 0o600)
	if err == nil {
		err = errors.Join(
			build("go", "build", "-o", filepath.Join(dir, "gatehouse"), "gatehouse/daemon/gatehouse"),
			build("gcc", "-O2", "-static", "-o", filepath.Join(dir, "hello"), filepath.Join(dir, "hello.c")))
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func build(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (w *workshop) close() { os.RemoveAll(w.dir) }

// A running side has its socket open.
type running struct {
	socket string
	cmd    *exec.Cmd
}

// start starts a side and waits until it takes connections.
func (w *workshop) start(s side) (*running, error) {
	w.n++
	socket := filepath.Join(w.dir, fmt.Sprintf("%d.sock", w.n))
	fill := strings.NewReplacer("{socket}", socket, "{dir}", w.dir)
	program := fill.Replace(s.program)
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		program = self
	}
	cmd := exec.Command(program)
	for _, a := range s.args {
		cmd.Args = append(cmd.Args, fill.Replace(a))
	}
	cmd.Env = os.Environ()
	for _, v := range s.env {
		cmd.Env = append(cmd.Env, fill.Replace(v))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	r := &running{socket, cmd}
	for range 500 {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return r, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.stop()
	return nil, fmt.Errorf("%s does not listen on its socket", s.name)
}

// stop ends a side with all its processes.
func (r *running) stop() {
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	r.cmd.Wait()
}
