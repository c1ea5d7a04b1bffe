package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi/process"
	"gatehouse/internal/testkit"
)

// group is the last part of what a program tells of its control group.
const group = head + "sed -n 's/^0:://p' /proc/self/cgroup\n"

func TestCgroup(t *testing.T) {
	dir := testkit.Cgroup(t)
	f := newFixture(t)
	f.Cgroup.Dir = dir
	f.sh(t, "group", group)
	for range 3 {
		s, res := f.serve(request("/group"))
		want := fmt.Sprintf("/%s/gatehouse.%d.1\n", filepath.Base(dir), os.Getpid())
		if res.Err != nil || !strings.HasSuffix(s.Body.String(), want) {
			t.Errorf("%v, %q; want %q", res.Err, s.Body.String(), want)
		}
	}
	second := newFixture(t)
	second.Cgroup.Dir = dir
	second.sh(t, "group", group)
	if s, res := second.serve(request("/group")); res.Err != nil || !strings.HasSuffix(s.Body.String(), ".2\n") {
		t.Errorf("a second App: %v, %q", res.Err, s.Body.String())
	}
	second.Close()
	f.Close()
	if left, _ := filepath.Glob(filepath.Join(dir, "gatehouse.*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// escape starts a daemon by a double fork, in a session of its own, with nothing that
// leads back to the program.
const escape = `(setsid sh -c 'trap "" TERM; echo $$ >escaped; echo >fifo; exec sleep 1000' </dev/null >/dev/null 2>&1 &)
read line <fifo
`

// TestCgroupOfEachProgram: what a program leaves behind is killed, whatever it did to
// escape, whether it ends well or is ended.
func TestCgroupOfEachProgram(t *testing.T) {
	dir := testkit.Cgroup(t)
	f := newFixture(t)
	f.Cgroup = process.Cgroup{Dir: dir, EachProgram: true}
	f.Limits.Grace = time.Millisecond
	f.fifo(t, "fifo")
	f.sh(t, "good", escape+group)
	f.sh(t, "clean", group)
	f.sh(t, "endless", escape+head+"echo ready\nsleep 1000 & wait")
	for range 3 {
		// A group that nothing was left in is used again, and then killed.
		first := ""
		for range 3 {
			s, res := f.serve(request("/clean"))
			if first == "" {
				first = s.Body.String()
			}
			if res.Err != nil || !strings.Contains(first, ".1/") || s.Body.String() != first {
				t.Fatalf("%v, %q; want %q again", res.Err, s.Body.String(), first)
			}
			waitIdle(t, f)
		}
		s, res := f.serve(request("/good"))
		checkOK(t, s, res, first)
		waitIdle(t, f)
		if s, res := f.serve(request("/clean")); res.Err != nil || s.Body.String() == first {
			t.Fatalf("%v, %q; want another group than that which was killed", res.Err, s.Body.String())
		}
		waitIdle(t, f)
		checkGone(t, filepath.Join(f.dir, "escaped"))
		f.abort(t, "/endless")
		checkGone(t, filepath.Join(f.dir, "escaped"))
		waitIdle(t, f)
		if left, _ := filepath.Glob(filepath.Join(dir, "gatehouse.*", "*", "cgroup.procs")); len(left) > 2 {
			t.Errorf("left: %q", left)
		}
	}
	f.Close()
}

// TestCPULimitOfACgroup counts what has escaped, too, and each program anew.
func TestCPULimitOfACgroup(t *testing.T) {
	t.Parallel()
	dir := testkit.Cgroup(t)
	f := newFixture(t)
	f.Cgroup = process.Cgroup{Dir: dir, EachProgram: true}
	f.Limits.CPU = time.Second
	f.Limits.Programs = 1
	f.sh(t, "busy", "(setsid sh -c 'while :; do :; done' &)\nsleep 1000 & wait")
	f.sh(t, "idle", head+"echo rested")
	for range 2 {
		_, res := f.serve(request("/busy"))
		checkRefused(t, res, 504, "cpu of 1s is over")
		s, res := f.serve(request("/idle"))
		checkOK(t, s, res, "rested\n")
	}
	f.Close()
	f = newFixture(t)
	f.Cgroup = process.Cgroup{Dir: dir, EachProgram: true}
	f.Limits.CPU = 2 * time.Second
	f.Limits.Programs = 1
	f.sh(t, "some", head+"exec python3 -c 'import time\nwhile time.process_time() < 1.2: pass'")
	for range 2 {
		s, res := f.serve(request("/some"))
		checkOK(t, s, res, "")
	}
	f.Close()
}

// TestCgroupLimits: with the controllers, the limits hold; without, Check says so.
func TestCgroupLimits(t *testing.T) {
	dir := testkit.Cgroup(t)
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		controller, key string
		limits          process.Cgroup
		script, want    string
	}{
		{"pids", "cgroup_processes", process.Cgroup{Processes: 8}, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done 2>/dev/null; echo all", ""},
		{"memory", "cgroup_memory", process.Cgroup{Memory: 32 << 20}, "exec python3 -c 'x = bytearray(256 << 20)'", ""},
		{"cpu", "cgroup_cpu", process.Cgroup{CPU: 0.5}, "cat /proc/self/cgroup >/dev/null; echo ok", "ok\n"},
	} {
		f := newFixture(t)
		f.Cgroup = c.limits
		f.Cgroup.Dir, f.Cgroup.EachProgram = dir, true
		if !slices.Contains(strings.Fields(string(text)), c.controller) {
			want := fmt.Sprintf("cgroup: %s has no controller %q: have it delegated (Delegate=%s in a systemd unit), or remove the limit %s",
				dir, c.controller, c.controller, c.key)
			if err := f.Check(); err == nil || err.Error() != want {
				t.Errorf("%s: %v; want %q", c.controller, err, want)
			}
			continue
		}
		f.sh(t, "x", head+c.script)
		if s, res := f.serve(request("/x")); s.Body.String() != c.want {
			t.Errorf("%s: %v, %q; want %q", c.controller, res.Err, s.Body.String(), c.want)
		} else if c.key == "cgroup_memory" && (res.Err == nil || !strings.Contains(res.Err.Error(), c.key)) {
			t.Errorf("%v; want the key", res.Err)
		}
		f.Close()
	}
}

// TestNoRoomForCgroups: a program for which there may be no control group is not started, and
// its request can come again.
func TestNoRoomForCgroups(t *testing.T) {
	f := newFixture(t)
	f.Cgroup = process.Cgroup{Dir: testkit.Cgroup(t), EachProgram: true}
	f.sh(t, "x", head+"echo hello")
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	limit := func(n string) {
		name, _ := filepath.Glob(filepath.Join(f.Cgroup.Dir, "gatehouse.*", "cgroup.max.descendants"))
		if err := os.WriteFile(name[0], []byte(n), 0); err != nil {
			t.Fatal(err)
		}
	}
	limit("0")
	_, res := f.serve(request("/x"))
	checkRefused(t, res, 503, "raise cgroup.max.descendants")
	limit("max")
	s, res := f.serve(request("/x"))
	checkOK(t, s, res, "hello\n")
	f.Close()
}

// TestStaleCgroups: the groups of a process that did not end well are removed by the
// next one.
func TestStaleCgroups(t *testing.T) {
	dir := testkit.Cgroup(t)
	const dead = 1 << 30 // no process has this number
	for _, d := range []string{"", "1"} {
		if err := os.Mkdir(filepath.Join(dir, "gatehouse."+strconv.Itoa(dead)+".1", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a := &App{Cgroup: process.Cgroup{Dir: dir}}
	if err := a.Check(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "gatehouse.*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
