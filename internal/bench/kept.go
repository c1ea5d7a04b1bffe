//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper returns the gateway with an application whose processes it keeps.
func keeper(command string, more string) side {
	s := side{name: "gatehouse", program: "{dir}/gatehouse", args: []string{"serve", "--fastcgi", "unix:{socket}"}}
	return s.configured("[[app]]\nfastcgi_exec = " + command + "\n" + more)
}

const phpCGI = `["/usr/bin/php-cgi", "-n"]`

// nginx returns nginx with kept connections to a side that speaks FastCGI. It has one worker,
// so that the connections which it keeps are no more than the processes behind them.
func nginx(upstream side, kept int) side {
	s := side{name: upstream.name, program: "/usr/sbin/nginx", args: []string{"-e", "stderr", "-c", "{socket}.toml"}}
	s.config = fmt.Sprintf(`daemon off;
user root;
worker_processes 1;
pid {socket}.pid;
error_log stderr crit;
events { worker_connections 512; }
http {
	access_log off;
	keepalive_requests 100000000;
	upstream application { server unix:{upstream}; keepalive %d; keepalive_requests 100000000; }
	server {
		listen unix:{socket};
		include /etc/nginx/fastcgi_params;
		fastcgi_param SCRIPT_FILENAME {dir}/php$fastcgi_script_name;
		fastcgi_keep_conn on;
		location / { fastcgi_pass application; }
	}
}`, kept)
	return s.behind(upstream)
}

// An ownCost measures the processor time of the side's first process for a request, without
// the processes that it has started.
type ownCost struct {
	meter
}

func (ownCost) figures() []string { return []string{"µs"} }

func (c ownCost) measure(r *running, length time.Duration) ([]float64, error) {
	pid := r.commands[0].Process.Pid
	requests := r.requests
	before, err := ownTime(pid)
	if err != nil {
		return nil, err
	}
	if _, err := c.meter.measure(r, length); err != nil {
		return nil, err
	}
	after, err := ownTime(pid)
	return []float64{float64((after - before).Nanoseconds()) / 1e3 / float64(r.requests-requests)}, err
}

// ownTime returns the processor time of a process, user and system: its CPU clock, as
// clock_getcpuclockid(3) names it.
func ownTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// A firstRequest measures how long the first request to an application takes of which no
// process runs. It kills those that do; PHP would not heed SIGTERM while it waits for a request.
type firstRequest struct {
	filename string
}

func (firstRequest) figures() []string { return []string{"ms"} }

func (f firstRequest) measure(r *running, length time.Duration) ([]float64, error) {
	return starts(r, length, func() (time.Duration, error) {
		end := time.Now().Add(patience)
		for pids := children(r.commands[0].Process.Pid); len(pids) > 0; pids = children(r.commands[0].Process.Pid) {
			if time.Now().After(end) {
				return 0, fmt.Errorf("processes that were killed have not ended after %v", patience)
			}
			for _, pid := range pids {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			time.Sleep(time.Millisecond)
		}
		begin := time.Now()
		err := requestOnce(r.socket, f.filename)
		return time.Since(begin), err
	})
}

// An ownStart measures how long the program of a side takes from its start to its first
// response, with a socket that it listens on as descriptor 0.
type ownStart struct {
	filename string
}

func (ownStart) figures() []string { return []string{"ms"} }

func (o ownStart) measure(r *running, length time.Duration) ([]float64, error) {
	n := 0
	return starts(r, length, func() (time.Duration, error) {
		n++
		socket := fmt.Sprint(r.socket, ".", n)
		listener, err := listenBlocking(socket)
		if err != nil {
			return 0, err
		}
		defer os.Remove(socket)
		defer listener.Close()
		cmd := exec.Command(r.commands[0].Path, r.commands[0].Args[1:]...)
		cmd.Stdin = listener
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		err = requestOnce(socket, o.filename)
		took := time.Since(begin)
		cmd.Process.Kill()
		cmd.Wait()
		return took, err
	})
}

// starts returns the median of how long one start after the other takes, in ms.
func starts(r *running, length time.Duration, once func() (time.Duration, error)) ([]float64, error) {
	if err := r.startMeasuring(); err != nil {
		return nil, err
	}
	var all []float64
	for until := time.Now().Add(length); len(all) == 0 || time.Now().Before(until); {
		took, err := once()
		if err != nil {
			return nil, err
		}
		all = append(all, float64(took.Nanoseconds())/1e6)
	}
	_, err := r.stopMeasuring(len(all))
	return []float64{median(all)}, err
}

// requestOnce makes a request for hello on a connection of its own.
func requestOnce(socket, filename string) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(request{filename: filename}.bytes()); err != nil {
		return err
	}
	return (&response{body: helloText}).read(c, make([]byte, 64<<10))
}

// children returns the children of a process, and those that it has not waited for.
func children(pid int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		if len(f) > 1 && string(f[1]) == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, child)
		}
	}
	return pids
}

// keptRows returns the rows of applications whose processes the gateway keeps.
func keptRows(w *workshop, _ scale) []row {
	const clients = 8
	hello := w.fill("{dir}/php/hello.php")
	web := load{connections: clients, request: request{http: true, keep: true, filename: "hello.php"}}
	kept := load{connections: clients, request: request{keep: true}}
	php := load{connections: clients, request: request{keep: true, filename: hello}}
	programs := fmt.Sprintf("programs = %d\nminimum = %[1]d", clients)
	own := side{name: "php-cgi itself", program: "/usr/bin/php-cgi", args: []string{"-n"}, processes: 1}
	direct := func(s side) side { s.name = "direct"; return s }
	return []row{
		{name: "kept-php", title: "nginx to php-cgi × 8, kept, 8 kept connections", ours: contender{nginx(keeper(phpCGI, programs), clients), web}, peers: []rival{
			{contender{nginx(phpFPM(clients), clients), web}, goal{ratio: 0.85}},
		}},
		{name: "kept-cost", title: "php-cgi × 8, kept, the gateway's processor time of a request", ours: contender{keeper(phpCGI, programs), ownCost{php}}, peers: []rival{
			{contender{direct(phpFPM(clients)), cost{php}}, goal{most: 25}},
		}},
		{name: "kept-cost", title: "libfcgi × 8, kept, the gateway's processor time of a request", ours: contender{keeper(`["{dir}/libfcgi"]`, programs), ownCost{kept}}, peers: []rival{
			{contender{direct(libfcgi(clients)), cost{kept}}, goal{most: 25}},
		}},
		{name: "kept-first", title: "php-cgi, kept, the first request when none runs", ours: contender{keeper(phpCGI, ""), firstRequest{hello}}, peers: []rival{
			{contender{own, ownStart{hello}}, goal{over: 10}},
		}},
	}
}
