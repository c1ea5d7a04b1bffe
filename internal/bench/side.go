//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A side is a program that is measured. In its arguments and environment,
// {socket} stands for the socket it must listen on, and {dir} for the directory of
// the workshop.
type side struct {
	name      string
	program   string // "" means this program itself
	args      []string
	env       []string
	config    string // in the file {socket}.toml
	upstream  *side  // that this one passes requests on to
	processes int    // sharing a listening socket on descriptor 0; 0: one that opens its own
}

// gateway returns the gatehouse command with --app app.
func gateway(app string) side {
	return side{name: "gatehouse", program: "{dir}/gatehouse", args: []string{"serve", "--fastcgi", "unix:{socket}", "--app", app}}
}

// self returns this program as a server with an application.
func self(server, application string) side {
	return side{name: server, env: []string{sideVariable + "=" + server + ":" + application, socketVariable + "={socket}"}}
}

// sized sets the length of sender's responses.
func (s side) sized(bytes int) side {
	s.env = append(s.env, fmt.Sprintf("%s=%d", sizeVariable, bytes))
	return s
}

// running sets the program that a side runs.
func (s side) running(program string) side {
	s.env = append(s.env, programVariable+"="+program)
	return s
}

// overHTTP returns the gateway with HTTP instead of FastCGI.
func (s side) overHTTP() side { return s.over("--http") }

// scgi returns the gateway with SCGI instead of FastCGI.
func (s side) scgi() side { return s.over("--scgi") }

func (s side) over(flag string) side {
	s.args = slices.Clone(s.args)
	s.args[slices.Index(s.args, "--fastcgi")] = flag
	return s
}

// configured returns the gateway with keys in a configuration file.
func (s side) configured(config string) side {
	s.config = config
	s.args = append(slices.Clone(s.args), "--config", "{socket}.toml")
	return s
}

func libfcgi(processes int) side {
	return side{name: fmt.Sprintf("libfcgi × %d", processes), program: "{dir}/libfcgi", processes: processes}
}

func fcgiwrap(processes int) side {
	return side{name: fmt.Sprintf("fcgiwrap -c %d", processes), program: "fcgiwrap", args: []string{"-c", fmt.Sprint(processes), "-s", "unix:{socket}"}}
}

// A running is a side that is running, with its socket open.
type running struct {
	socket   string
	commands []*exec.Cmd
	group    group
	upstream *running // not part of what is measured

	measuringSince time.Time // set by startMeasuring, as is before
	before         usage
	used           usage // while measuring, in all rounds
	requests       int
}

// groups returns the process groups of a side.
func (r *running) groups() []int {
	var groups []int
	for _, c := range r.commands {
		groups = append(groups, c.Process.Pid)
	}
	return groups
}

// startSide starts a side and waits until it accepts connections.
func (w *workshop) startSide(s side) (*running, error) {
	w.n++
	r := &running{socket: filepath.Join(w.dir, fmt.Sprintf("%d.sock", w.n))}
	fill := strings.NewReplacer("{socket}", r.socket, "{dir}", w.dir)
	if s.upstream != nil {
		var err error
		if r.upstream, err = w.startSide(*s.upstream); err != nil {
			return nil, err
		}
		fill = strings.NewReplacer("{socket}", r.socket, "{dir}", w.dir, "{upstream}", r.upstream.socket)
	}
	var listener *os.File
	if s.processes > 0 {
		var err error
		if listener, err = listenBlocking(r.socket); err != nil {
			r.stop()
			return nil, err
		}
		defer listener.Close()
	}
	if s.config != "" {
		if err := os.WriteFile(r.socket+".toml", []byte(fill.Replace(s.config)+"\n"), 0o600); err != nil {
			r.stop()
			return nil, err
		}
	}
	// The log of a side is printed if the side does not start.
	complaints, err := os.Create(r.socket + ".log")
	if err != nil {
		r.stop()
		return nil, err
	}
	defer complaints.Close()
	r.group = w.newGroup(fmt.Sprint(w.n))
	var within *os.File
	if r.group != "" {
		if within, err = os.Open(string(r.group)); err != nil {
			r.stop()
			return nil, err
		}
		defer within.Close()
	}
	for range max(s.processes, 1) {
		cmd, err := command(s, fill)
		if err == nil {
			if within != nil {
				cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(within.Fd())
			}
			cmd.Stderr = complaints
			if listener != nil {
				cmd.Stdin = listener
			}
			err = cmd.Start()
		}
		if err != nil {
			r.stop()
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		r.commands = append(r.commands, cmd)
	}
	for range 500 {
		if c, err := net.Dial("unix", r.socket); err == nil {
			c.Close()
			return r, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.stop()
	said, _ := os.ReadFile(complaints.Name())
	return nil, fmt.Errorf("%s does not listen on its socket\n%s", s.name, said)
}

func command(s side, fill *strings.Replacer) (*exec.Cmd, error) {
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
	cmd.Env = append(os.Environ(), sizeVariable+"=0")
	for _, v := range s.env {
		cmd.Env = append(cmd.Env, fill.Replace(v))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}

// stop kills all processes of a side.
func (r *running) stop() {
	for _, c := range r.commands {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		c.Wait()
	}
	r.group.remove()
	if r.upstream != nil {
		r.upstream.stop()
	}
}
