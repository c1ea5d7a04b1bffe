package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/fault"
	"gatehouse/internal/testkit"
)

// Where a traced gateway listens and keeps its files.
const (
	tracedSocket = "/run/gatehouse/fastcgi.sock"
	tracedDir    = "/srv/gatehouse"
)

// A traced is a gateway whose traces are looked at from outside: the processes of the
// namespace, the descriptors of the gateway, its temporary files and, at its end, its
// goroutines.
type traced struct {
	cmd    *exec.Cmd
	log    string
	stderr *fault.Stderr // through which the log is written, or nil
	done   chan struct{} // closed when the process has been waited for

	session   int             // of the gateway and its programs
	processes map[int]bool    // that were there before it
	links     map[string]bool // what its descriptors were before the first request
}

// startTraced starts a gateway for the programs of /usr/lib/cgi-bin, with keys of the
// configuration file. Its temporary files are on a disk of 1 MiB.
func startTraced(t *testing.T, keys string) *traced {
	t.Helper()
	return startTracedOn(t, keys, 1, false)
}

// startTracedOn does that for keys that make it listen on so many sockets, with a stderr that
// can be blocked or a file.
func startTracedOn(t *testing.T, keys string, sockets int, blockable bool) *traced {
	t.Helper()
	owner := webUser(t)
	files := filepath.Join(tracedDir, "files")
	for _, dir := range []string{filepath.Dir(tracedSocket), files} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("tmpfs", files, "tmpfs", 0, fmt.Sprintf("mode=0700,uid=%d,gid=%d,size=1m", owner.Uid, owner.Gid)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(files, 0); err != nil {
			t.Errorf("unmount %s: %v", files, err)
		}
	})
	config := filepath.Join(tracedDir, "gatehouse.toml")
	text := fmt.Sprintf("fastcgi = %q\nspool_dir = %q\n%s\n[[app]]\nprefix = \"/cgi-bin\"\nscripts = \"/usr/lib/cgi-bin\"\n[[app]]\nprefix = \"/cgi-bin/own\"\nscripts = \"/srv/own\"\n",
		"unix:"+tracedSocket+",mode=0660,group=www-data", files, keys)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}

	w := &traced{log: filepath.Join(t.TempDir(), "log"), done: make(chan struct{})}
	output, err := os.Create(w.log)
	if err != nil {
		t.Fatal(err)
	}
	if !blockable {
		defer output.Close()
	}
	w.cmd = exec.Command(filepath.Join(workspace, "gatehouse"), "serve", "--config", config)
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	w.cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TMPDIR=" + files, "GOTRACEBACK=all"}
	w.cmd.Dir = "/"
	w.cmd.Stdout, w.cmd.Stderr = output, output
	if blockable {
		if w.stderr, err = fault.NewStderr(output); err != nil {
			t.Fatal(err)
		}
		defer w.stderr.W.Close()
		w.cmd.Stderr = w.stderr.W
	}
	w.processes = make(map[int]bool)
	for _, p := range allProcesses(t) {
		w.processes[p.pid] = true
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	session, err := unix.Getsid(w.cmd.Process.Pid)
	if err != nil {
		t.Error(err)
	}
	w.session = session
	go func() {
		w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() { w.kill(t) })
	s := &server{name: "gatehouse", done: w.done}
	if err := s.waitFor(tracedSocket); err != nil {
		t.Fatal(err)
	}
	// It listens before it has all that it starts with, such as its threads.
	testkit.Until(t, "the gateway serves", func() bool {
		text, err := os.ReadFile(w.log)
		return err == nil && strings.Count(string(text), `"msg":"listening"`) >= sockets
	})
	w.await(t, "the connection that was tried", func() []string {
		w.links = make(map[string]bool)
		var open []string
		for _, link := range w.descriptors(t) {
			w.links[link] = true
			if strings.HasPrefix(link, "socket:") {
				open = append(open, link)
			}
		}
		return open[min(sockets, len(open)):] // those that listen
	})
	return w
}

// crash is where the log of a gateway that has crashed says so.
var crash = regexp.MustCompile(`(?m)^(panic|fatal error): `)

// kill ends the gateway, and whatever a failed test has left.
func (w *traced) kill(t *testing.T) {
	if t.Failed() {
		if text, err := os.ReadFile(w.log); err == nil {
			end := len(text)
			if i := crash.FindIndex(text); i != nil {
				end = i[0]
			}
			t.Logf("gatehouse:\n%.20000s\n%.20000s", text[:end], text[end:])
		}
	}
	w.cmd.Process.Kill()
	<-w.done
	for range 100 { // what is killed may have children meanwhile
		left := w.others(t)
		if len(left) == 0 {
			return
		}
		for _, p := range left {
			syscall.Kill(p.pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A process is one of the namespace, from its line in /proc.
type process struct {
	pid, parent, group, session int
	name                        string
	state                       byte
}

func (p process) String() string {
	return fmt.Sprintf("process %d %s, state %c, parent %d, group %d, session %d", p.pid, p.name, p.state, p.parent, p.group, p.session)
}

func allProcesses(t *testing.T) (list []process) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		var p process
		begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
		p.pid, _ = strconv.Atoi(strings.TrimSpace(string(text[:begin])))
		p.name = string(text[begin : end+1])
		if _, err := fmt.Sscanf(string(text[end+1:]), " %c %d %d %d", &p.state, &p.parent, &p.group, &p.session); err != nil {
			t.Fatalf("%s: %q: %v", name, text, err)
		}
		list = append(list, p)
	}
	return list
}

// others returns the processes that were not there before the gateway. Orphans that
// have ended are not among them: they fall to this process, which is the namespace's
// init, and reaps them.
func (w *traced) others(t *testing.T) (list []process) {
	t.Helper()
	for _, p := range allProcesses(t) {
		switch {
		case w.processes[p.pid] || p.pid == w.cmd.Process.Pid:
		case w.processes[p.parent] && p.parent != os.Getpid(): // of a web server
		case p.state == 'Z' && p.parent == os.Getpid():
			unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
		default:
			list = append(list, p)
		}
	}
	return list
}

// descriptors returns what the gateway's descriptors lead to.
func (w *traced) descriptors(t *testing.T) (links []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		select {
		case <-w.done:
			t.Fatalf("the gateway has ended: %v", w.cmd.ProcessState)
		case <-time.After(patience):
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		if link, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			links = append(links, link)
		}
	}
	return links
}

// kept are descriptors that a gateway may open at its first requests, and keep.
var kept = []string{os.DevNull, "anon_inode:[eventpoll]", "anon_inode:[eventfd]"}

// traces returns what the requests have left. Orphans that have ended are among that
// only if reaped is true: the gateway takes some seconds to reap those.
func (w *traced) traces(t *testing.T, reaped bool) (left []string) {
	t.Helper()
	for _, p := range w.others(t) {
		program := p.group == p.pid && p.session == w.session
		if reaped || p.state != 'Z' || p.parent != w.cmd.Process.Pid || program {
			left = append(left, p.String())
		}
	}
	return append(left, w.ownTraces(t)...)
}

// ownTraces returns what the requests have left in the gateway.
func (w *traced) ownTraces(t *testing.T) (left []string) {
	t.Helper()
	for _, link := range w.descriptors(t) {
		if !w.links[link] && !slices.Contains(kept, link) {
			left = append(left, "descriptor of "+link)
		}
	}
	files := filepath.Join(tracedDir, "files")
	entries, err := os.ReadDir(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, "file "+e.Name())
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(files, &disk); err != nil {
		t.Fatal(err)
	}
	if disk.Bfree != disk.Blocks {
		left = append(left, fmt.Sprintf("%d blocks of the disk", disk.Blocks-disk.Bfree))
	}
	return left
}

// await waits until look finds nothing.
func (w *traced) await(t *testing.T, what string, look func() []string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		found := look()
		if len(found) == 0 {
			return
		}
		select {
		case <-w.done:
			t.Fatalf("%s: the gateway has ended: %v", what, w.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: left over:\n%s", what, strings.Join(found, "\n"))
		}
	}
}

// working returns the gateway's threads that do not sleep.
func (w *traced) working(t *testing.T) (list []string) {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", w.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err == nil && !bytes.HasPrefix(text[bytes.LastIndexByte(text, ')')+1:], []byte(" S ")) {
			list = append(list, string(text))
		}
	}
	return list
}

// quit has the gateway show its goroutines and end, and returns those that serve a
// request or a program.
func (w *traced) quit(t *testing.T) (left []string) {
	t.Helper()
	w.await(t, "threads at work", func() []string { return w.working(t) })
	if err := w.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.done:
	case <-time.After(patience):
		t.Fatal("the gateway does not end on SIGABRT")
	}
	if w.stderr != nil {
		if err := w.stderr.Wait(); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	_, dump, found := strings.Cut(string(text), "SIGABRT: abort\n")
	if !found || !strings.Contains(dump, "\ngatehouse/fastcgi.(*Server).Serve(") {
		t.Fatalf("the gateway ended without its goroutines: %v", w.cmd.ProcessState)
	}
	for goroutine := range strings.SplitSeq(dump, "\n\n") {
		first, _, _ := strings.Cut(goroutine, "\n")
		if !strings.HasPrefix(first, "goroutine ") || strings.Contains(first, "[runnable") || strings.Contains(first, "[running") {
			continue // what is left over waits for something
		}
		for _, frame := range []string{"\ngatehouse/cgi/script.", "\ngatehouse/cgi/spool.", "\ngatehouse/cgi.", "\ngatehouse/fastcgi.(*conn)", "\ngatehouse/fastcgi.(*request)",
			"\ngatehouse/scgi.(*conn)", "\nnet/http.(*conn)"} {
			if strings.Contains(goroutine, frame) {
				left = append(left, goroutine)
				break
			}
		}
	}
	return left
}

// killProgram kills one of the gateway's programs, if any runs; n says which, and how.
func (w *traced) killProgram(t *testing.T, n uint64) bool {
	t.Helper()
	signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGHUP}
	var programs []int
	for _, p := range w.others(t) {
		if p.parent == w.cmd.Process.Pid && p.group == p.pid && p.state != 'Z' {
			programs = append(programs, p.pid)
		}
	}
	return len(programs) > 0 && syscall.Kill(programs[n%uint64(len(programs))], signals[n/64%uint64(len(signals))]) == nil
}

// resident returns the gateway's resident memory, in bytes.
func (w *traced) resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	var n int64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// A line is one of the gateway's log.
type line struct {
	Level, Msg, Error string
}

// troubles returns the lines of the log of level WARN or more, but for warnings of the
// configuration, which Debian's php in cgi-bin has. Of equal messages in succession the first
// stands for all.
func (w *traced) troubles(t *testing.T) (list []line) {
	t.Helper()
	text, err := os.ReadFile(w.log)
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		if row == "SIGABRT: abort\n" {
			break
		}
		var l line
		if err := json.Unmarshal([]byte(row), &l); err != nil {
			t.Fatalf("%q: %v", row, err)
		}
		if l.Level != "WARN" && l.Level != "ERROR" || strings.HasPrefix(l.Msg, tracedDir) {
			continue
		}
		if n := len(list); n == 0 || l.Msg != list[n-1].Msg {
			list = append(list, l)
		}
	}
	return list
}
