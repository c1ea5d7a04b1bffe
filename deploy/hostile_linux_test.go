package deploy_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bytes of the answers below that are no number.
const (
	ownPage = -1 // the gateway's own page, which tells the status
	some    = -2 // at least one
)

// A misbehaviour is what a program of testdata/hostile does, and what becomes of it.
type misbehaviour struct {
	does    string // for the table in docs/cgi.md
	program string
	keys    string // of the configuration file
	post    int    // bytes of the request's body
	chunked bool   // whose length is not known
	cut     int    // bytes of it that never come
	direct  bool   // only over FastCGI: it takes long, or nginx has the whole body before it asks

	at    int64 // when so much of the answer has come …
	goOn  bool  // … the program may go on
	leave bool  // … the client leaves

	status int
	bytes  int64
	end    outcome // whole if left out
	log    string  // in the log line, or "" if there is none
	left   string  // what the program has left on purpose, until the test lets it go on
}

const (
	firstByte = "first_byte = \"300ms\"\n"
	silence   = "silence = \"1s\"\n"
	longest   = "run = \"1s\"\n"
)

// misbehaviours are all of them, in the order of the table.
var misbehaviours = []misbehaviour{
	{does: "writes a large response before it reads its body", program: "writes-first", post: 1_000_000, status: 200, bytes: 1_000_013},
	{does: "never reads its body", program: "never-reads", post: 1_000_000, status: 200, bytes: 5},
	{does: "closes its stdin before it has its body", program: "closes-stdin", post: 1_000_000, status: 200, bytes: 5},
	{does: "neither reads nor responds", program: "never-answers", keys: silence, post: 1_000_000, status: 504, bytes: ownPage, log: "silence of 1s is over"},
	{does: "reads its body byte by byte", program: "sips", keys: longest, post: 1_000_000, status: 504, bytes: ownPage, log: "run of 1s is over"},
	{does: "gets a body that is cut short", program: "reads-all", post: 1_000_000, cut: 500_000, direct: true, leave: true, end: left},
	{does: "gets a body too large for the disk of spool_dir", program: "reads-all", keys: "spool_memory = \"64KiB\"\n", post: 3_000_000, chunked: true, direct: true, status: 503, bytes: ownPage, log: "no space left on device (spool_total, spool_dir)"},

	{does: "never responds", program: "never-answers", keys: firstByte, status: 504, bytes: ownPage, log: "first_byte of 300ms is over"},
	{does: "begins a response and never finishes", program: "stalls", keys: silence, status: 200, bytes: 5, end: broken, log: "silence of 1s is over"},
	{does: "the same, and the client leaves", program: "stalls", at: 5, leave: true, status: 200, bytes: 5, end: left},
	{does: "writes forever", program: "endless", keys: longest, status: 200, bytes: some, end: broken, log: "run of 1s is over"},
	{does: "the same, and the client leaves", program: "endless", at: 1_000_000, leave: true, status: 200, bytes: some, end: left},
	{does: "writes a byte now and then, forever", program: "drips", keys: longest, status: 200, bytes: some, end: broken, log: "run of 1s is over"},
	{does: "pauses between head and body", program: "pauses", goOn: true, status: 200, bytes: 5},
	{does: "ignores TERM, as does its child", program: "ignores-term", keys: firstByte, status: 504, bytes: ownPage, log: "first_byte of 300ms is over"},
	{does: "stops itself (SIGSTOP)", program: "stops", keys: firstByte, status: 504, bytes: ownPage, log: "first_byte of 300ms is over"},
	{does: "moves to the gateway's process group", program: "joins-group", keys: firstByte, status: 504, bytes: ownPage, log: "first_byte of 300ms is over"},
	{does: "has a child in a session of its own and never responds", program: "new-session", keys: firstByte, status: 504, bytes: ownPage, log: "first_byte of 300ms is over"},
	{does: "forks without end (up to RLIMIT_NPROC)", program: "bomb", keys: longest, status: 504, bytes: ownPage, log: "run of 1s is over"},

	{does: "leaves a child behind that keeps the pipes open", program: "daemon", status: 200, bytes: 5, left: "the child"},
	{does: "leaves a daemon behind (double fork) that keeps the pipes open", program: "double-fork", status: 200, bytes: 5, left: "the daemon"},
	{does: "does not wait for its children", program: "zombies", status: 200, bytes: 5},
	{does: "closes its stdout after the response and keeps running", program: "closes-stdout", keys: "silence = \"2s\"\n", status: 200, bytes: 5, log: "silence of 2s is over"},
	{does: "closes its stdout before the response and keeps running", program: "closes-stdout-first", status: 502, bytes: ownPage, log: "it has closed its stdout and runs on"},

	{does: "writes 1 GiB to stderr", program: "floods-stderr", direct: true, status: 200, bytes: 5, log: "program stderr suppressed"},
	{does: "exits with status 0 and no response", program: "says-nothing", status: 502, bytes: ownPage, log: "exit status 0"},
	{does: "has no head", program: "no-head", status: 502, bytes: ownPage, log: "bad head"},
	{does: "exits in the middle of its head", program: "half-head", status: 502, bytes: ownPage, log: "the output ended before the empty line that ends a head"},
	{does: "has a head of 10 MB", program: "huge-head", status: 502, bytes: ownPage, log: "head is longer than head_bytes"},
	{does: "has a NUL in its head", program: "nul-head", status: 502, bytes: ownPage, log: "control character 0x00"},
	{does: "has NULs in its body", program: "nul-body", status: 200, bytes: 6},
	{does: "crashes before its response", program: "crashes-first", status: 502, bytes: ownPage, log: "ended by signal: segmentation fault"},
	{does: "crashes in the middle of its response", program: "crashes", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "ended by signal: segmentation fault"},
	{does: "kills its whole process group in the middle of its response", program: "kills-all", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "ended by signal: killed"},
	{does: "exits with status 3 after its response", program: "status-3", status: 200, bytes: 5, log: "program ended with a status"},
	{does: "sends less than its Content-Length", program: "too-short", at: 5, goOn: true, status: 200, bytes: 5, end: broken, log: "body does not have the declared Content-Length"},
	{does: "sends more than its Content-Length", program: "too-long", status: 200, bytes: 5, log: "body does not have the declared Content-Length"},
	{does: "sends more than its Content-Length, forever", program: "far-too-long", status: 200, bytes: 5, log: "body does not have the declared Content-Length"},

	{does: "replaces itself with another program (exec)", program: "becomes", status: 200, bytes: 5},
	{does: "removes its directory", program: "own/dir/removes-itself", status: 200, bytes: 5},
	{does: "has an interpreter that does not exist", program: "no-interpreter", status: 502, bytes: ownPage, log: "its interpreter "},
	{does: "has CR LF after its interpreter", program: "cr-lf", status: 502, bytes: ownPage, log: "its first line ends in CR LF"},
}

// TestMisbehaviour: each program gets the answer that the table says, over FastCGI and
// through nginx, and nothing of it is left in the gateway or beside it.
func TestMisbehaviour(t *testing.T) {
	installHostile(t)
	startNginx(t, "nginx/fastcgi.conf")
	for _, m := range misbehaviours {
		name := m.program
		if m.leave {
			name += ", left"
		}
		t.Run(name, func(t *testing.T) {
			t.Run("FastCGI", func(t *testing.T) {
				m.try(t, func(q *question) result { return q.ask(tracedSocket) })
			})
			if m.direct {
				return
			}
			t.Run("nginx", func(t *testing.T) {
				m.try(t, func(q *question) result { return q.askHTTP(t, httpClient(t)) })
			})
		})
	}
}

// TestMisbehaviourIsDocumented: the table of docs/cgi.md is that of the tests.
func TestMisbehaviourIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/cgi.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, m := range misbehaviours {
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", m.does, m.sees(), m.gets(), m.logs(), cmp.Or(m.left, "–"))
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/cgi.md lacks these lines:\n%s", &table)
	}
}

// sees is the client's status in the table.
func (m misbehaviour) sees() string {
	if m.status == 0 {
		return "–"
	}
	return fmt.Sprint(m.status)
}

// gets is what the client gets, in the table.
func (m misbehaviour) gets() string {
	switch {
	case m.status == 0:
		return "it has left"
	case m.bytes == ownPage:
		return "a page"
	case m.end == left:
		return "the response until it leaves"
	case m.end == broken:
		return "the response so far, truncated"
	case strings.HasPrefix(m.does, "sends more"):
		return "as much as declared"
	}
	return "the whole response"
}

// logs is the log line, in the table.
func (m misbehaviour) logs() string {
	if m.log == "" {
		return "–"
	}
	return "`" + m.log + "`"
}

// try lets the program misbehave once, in front of a gateway of its own.
func (m misbehaviour) try(t *testing.T, ask func(*question) result) {
	t.Helper()
	proceed := fifo(t, "/srv/test/proceed")
	started := fifo(t, "/srv/test/started")
	installRemover(t)
	w := startTraced(t, "programs = 1\ngrace = \"200ms\"\n"+m.keys)
	q := &question{path: m.program, post: m.post, known: !m.chunked, cut: m.cut}
	letGo := func() {
		if _, err := proceed.WriteString("\n"); err != nil {
			t.Error(err)
		}
	}
	if m.cut > 0 {
		q.sent = func() { started.Read(make([]byte, 1)) }
	}
	gone := false
	q.arrived = func(n int64) bool {
		if n < m.at || gone {
			return false
		}
		gone = m.goOn || m.leave
		if m.goOn {
			letGo()
		}
		return m.leave
	}
	m.check(t, ask(q))
	if m.left != "" {
		w.await(t, "in the gateway, while "+m.left+" lives", func() []string { return w.ownTraces(t) })
		if len(w.others(t)) == 0 {
			t.Errorf("%s has gone", m.left)
		}
		letGo()
	}
	reaped := m.left != "" || m.program == "zombies"
	w.await(t, "after the request", func() []string { return w.traces(t, reaped) })

	// The only place is free again.
	again := (&question{path: "never-reads"}).ask(tracedSocket)
	if again.status != http.StatusOK || again.end != whole {
		t.Errorf("the next request: %v", again)
	}
	w.await(t, "after the next request", func() []string { return w.traces(t, false) })
	for _, g := range w.quit(t) {
		t.Errorf("a goroutine is left:\n%s", g)
	}
	m.checkLog(t, w.troubles(t))
}

// check checks the answer that the client got.
func (m misbehaviour) check(t *testing.T, got result) {
	t.Helper()
	end := m.end
	if end == "" {
		end = whole
	}
	ok := got.status == m.status && got.end == end
	switch m.bytes {
	case ownPage:
		ok = ok && strings.HasPrefix(got.text, fmt.Sprintf("%d %s", m.status, http.StatusText(m.status)))
	case some:
		ok = ok && got.body > 0
	default:
		ok = ok && got.body == m.bytes
	}
	if !ok {
		t.Errorf("%v; want status %d, %s bytes, %s", got, m.status, m.size(), end)
	}
}

// checkLog checks that there is one line, or none, about the request.
func (m misbehaviour) checkLog(t *testing.T, lines []line) {
	t.Helper()
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Msg+": "+l.Error)
	}
	all := strings.Join(texts, "\n")
	switch {
	case m.log == "" && len(lines) > 0:
		t.Errorf("log:\n%s\nwant none", all)
	case m.log != "" && !strings.Contains(all, m.log):
		t.Errorf("log:\n%s\nwant %q", all, m.log)
	case m.log != "" && m.program != "floods-stderr" && len(lines) != 1:
		t.Errorf("log:\n%s\nwant one line", all)
	}
	t.Logf("log: %s", all)
}

// size is the bytes as the table has them.
func (m misbehaviour) size() string {
	switch m.bytes {
	case ownPage:
		return "a page"
	case some:
		return "some"
	}
	return fmt.Sprint(m.bytes)
}

// askHTTP asks through the web server at port 80.
func (q *question) askHTTP(t *testing.T, c *http.Client) (r result) {
	t.Helper()
	method, body := "GET", io.Reader(nil)
	if q.post > 0 {
		method, body = "POST", bytes.NewReader(bytes.Repeat([]byte("p"), q.post))
	}
	request, err := http.NewRequest(method, "http://localhost/cgi-bin/"+q.path+"?"+q.query, body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Do(request)
	if err != nil {
		return result{end: broken, err: err}
	}
	defer response.Body.Close()
	r.status = response.StatusCode
	buf := make([]byte, 32<<10)
	for n := 0; ; {
		if r.take(buf[:n], q) {
			r.end = left
			return r
		}
		switch n, err = response.Body.Read(buf); {
		case err == io.EOF:
			r.take(buf[:n], q)
			r.end = whole
			return r
		case err != nil:
			r.take(buf[:n], q)
			r.end, r.err = broken, err
			return r
		}
	}
}

// installHostile puts the programs of testdata/hostile into Debian's cgi-bin.
func installHostile(t *testing.T) {
	t.Helper()
	const dir = "/usr/lib/cgi-bin"
	entries, err := os.ReadDir("testdata/hostile")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		source := filepath.Join("testdata/hostile", e.Name())
		name, isC := strings.CutSuffix(e.Name(), ".c")
		if !isC {
			install(t, source, filepath.Join(dir, name), 0o755)
			continue
		}
		installC(t, source, filepath.Join(dir, name))
	}
	for name, text := range map[string]string{
		"no-interpreter": "#!/nonexistent/sh\n",
		"cr-lf":          "#!/bin/sh\r\necho\r\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
	}
}

// installC compiles a program.
func installC(t *testing.T, source, path string) {
	t.Helper()
	if out, err := exec.Command("gcc", "-static", "-O1", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", source, err, out)
	}
	t.Cleanup(func() { os.Remove(path) })
}

// installRemover puts the program that removes its directory into one that it may
// remove.
func installRemover(t *testing.T) {
	t.Helper()
	const above = "/srv/own"
	dir := filepath.Join(above, "dir")
	install(t, "testdata/hostile/removes-itself", filepath.Join(dir, "removes-itself"), 0o755)
	owner := webUser(t)
	for _, path := range []string{above, dir, filepath.Join(dir, "removes-itself")} {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}
