package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/internal/testkit"
)

// forkBomb forks until there is no room, makes the file full, and forks again as soon as
// there is.
const forkBomb = `#!/usr/bin/env python3
import os, signal, time
while True:
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        open("../full", "w").close()
        time.sleep(0.001)
`

// TestOutOfProcesses: programs that use up all processes of the user end neither the
// gateway nor its service.
func TestOutOfProcesses(t *testing.T) {
	uid := ownUser(t)
	dir := openDir(t, map[string]string{"bomb": forkBomb, "hello": "#!/bin/sh\necho Content-Type: text/plain; echo; echo hello\n"})
	c := serve(t, dir, fmt.Sprintf("programs = 64\ngrace = \"1ms\"\n[[app]]\nscripts = %q\n", filepath.Join(dir, "cgi")),
		"limited", strconv.Itoa(uid), "160")
	attack, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	var bomber, clients sync.WaitGroup
	bomber.Go(func() {
		r, _ := http.NewRequestWithContext(attack, "GET", "http://gatehouse/bomb", nil)
		if res, err := c.client.Do(r); err == nil {
			res.Body.Close()
		}
	})
	body := strings.Repeat("x", 200000)
	status := func() string {
		res, err := c.client.Post("http://gatehouse/hello", "", strings.NewReader(body))
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		return res.Status + " " + res.Header.Get("Retry-After")
	}
	const full = "503 Service Unavailable 1"
	testkit.Until(t, "no room", func() bool {
		_, err := os.Stat(filepath.Join(dir, "full"))
		return err == nil
	})
	for range 60 {
		clients.Go(func() {
			for range 10 {
				if s := status(); s != full && s != "200 OK " {
					t.Errorf("response %q", s)
				}
			}
		})
	}
	c.logs(t, "the system has no room for another process: fewer programs at once (programs), fewer processes of theirs "+
		"(processes, cgroup_processes), or more room: RLIMIT_NPROC (LimitNPROC=), TasksMax=, pids.max")
	clients.Wait()
	testkit.Until(t, "still no room", func() bool { return status() == full })
	giveUp()
	bomber.Wait()
	testkit.Until(t, "room again", func() bool { return status() == "200 OK " })
	c.cmd.Process.Signal(syscall.SIGTERM)
	c.end(t, 0)
	testkit.Until(t, "nothing left", func() bool { return processesOf(uid) == 0 })
}

// TestLittleRoom: where there is no room for all the threads that the gateway would have,
// it leaves half of it to programs, and says so.
func TestLittleRoom(t *testing.T) {
	dir := openDir(t, map[string]string{"hello": "#!/bin/sh\necho Content-Type: text/plain; echo; echo hello\n"})
	c := serve(t, dir, fmt.Sprintf("[[app]]\nscripts = %q\n", filepath.Join(dir, "cgi")), "limited", strconv.Itoa(ownUser(t)), "30")
	c.logs(t, "raise RLIMIT_NPROC (LimitNPROC=), TasksMax= or pids.max")
	res, err := c.client.Get("http://gatehouse/hello")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

// TestKilled: no program outlives a gateway that is killed, whatever started it.
func TestKilled(t *testing.T) {
	ownUser(t)
	dir := openDir(t, map[string]string{"sleep": "#!/bin/sh\necho Content-Type: text/plain; echo; echo $$; exec sleep 1000\n"})
	config, rules := "", []string{
		"",                 // any thread
		`user = "nobody"`,  // another user
		`open_files = 100`, // a stop by ptrace
		"user = \"nobody\"\nno_new_privs = true\ncheck_mode = true", // a thread that does nothing else
	}
	for i, rule := range rules {
		config += fmt.Sprintf("[[app]]\nprefix = \"/%d\"\nscripts = %q\n%s\n", i, filepath.Join(dir, "cgi"), rule)
	}
	c := serve(t, dir, config)
	var programs []*program
	for i := range rules {
		programs = append(programs, c.run(t, fmt.Sprintf("/%d/sleep", i)))
	}
	c.kill(t)
	for i, p := range programs {
		if !p.ends(testkit.Patience) {
			t.Errorf("%q: the program lives on", rules[i])
		}
	}
}

// TestKilledWithCgroup: what even the kernel did not end with a gateway that was killed is
// ended by its next start, under the same socket. What other gateways run is not.
func TestKilledWithCgroup(t *testing.T) {
	group := testkit.Cgroup(t)
	// A group whose number another process has got by now.
	if err := os.Mkdir(filepath.Join(group, "gatehouse.1.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(dir string) *child {
		return serve(t, dir, fmt.Sprintf("[[app]]\nscripts = %q\ncgroup = %q\ncgroup_each = true\n", filepath.Join(dir, "cgi"), group))
	}
	programs := map[string]string{
		"sleep": "#!/bin/sh\necho Content-Type: text/plain; echo; echo $$; exec sleep 1000\n",
		"leave": "#!/bin/sh\necho Content-Type: text/plain; echo\nsetsid sleep 1000 </dev/null >/dev/null 2>&1 &\necho $!; exec sleep 1000\n",
	}
	dir := openDir(t, programs)
	other := start(openDir(t, programs))
	busy := other.run(t, "/sleep")
	killed := start(dir)
	left := killed.run(t, "/leave")
	killed.kill(t)

	next := start(dir)
	if !left.ends(testkit.Patience) {
		t.Error("a process that a gateway has left behind lives on")
	}
	if busy.ends(0) {
		t.Error("the program of another gateway was ended")
	}
	groups, err := filepath.Glob(filepath.Join(group, "*", "cgroup.procs"))
	if len(groups) != 2 || err != nil {
		t.Errorf("%q, %v; want one for each gateway", groups, err)
	}
	for _, c := range []*child{next, other} {
		c.cmd.Process.Signal(syscall.SIGTERM)
		c.logs(t, "draining")
		c.cmd.Process.Signal(syscall.SIGTERM)
		testkit.Receive(t, "the end of gatehouse", c.ended)
	}
}

// ownUser returns a user that nobody else uses: RLIMIT_NPROC counts all processes of a
// user, and does not hold for root.
func ownUser(t *testing.T) (uid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("only root can become a user that has no other processes: run the tests as root")
	}
	return 1<<20 + os.Getpid()
}

func processesOf(uid int) (n int) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		var st syscall.Stat_t
		if syscall.Stat(p, &st) == nil && int(st.Uid) == uid {
			n++
		}
	}
	return n
}
