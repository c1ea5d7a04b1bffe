package deploy_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMisbehaviourWithBodies(t *testing.T)   { tryAll(t, bodyMisbehaviours) }
func TestMisbehaviourWithoutEnd(t *testing.T)   { tryAll(t, endlessMisbehaviours) }
func TestMisbehaviourWithChildren(t *testing.T) { tryAll(t, childMisbehaviours) }
func TestMisbehaviourInTheAnswer(t *testing.T)  { tryAll(t, answerMisbehaviours) }

// tryAll: each program gets the answer that the table says, over FastCGI and through
// nginx, and nothing of it is left in the gateway or beside it.
func tryAll(t *testing.T, list []misbehaviour) {
	installHostile(t)
	startNginx(t, "nginx/fastcgi.conf")
	for _, m := range list {
		name := m.program
		if m.leave {
			name += ", left"
		}
		t.Run(name, func(t *testing.T) {
			m.tryUntil(t, "FastCGI", func(t *testing.T, q *question) result { return q.ask(tracedSocket) })
			if m.direct {
				return
			}
			m.tryUntil(t, "nginx", func(t *testing.T, q *question) result { return q.askHTTP(t, httpClient(t)) })
		})
	}
}

// tryUntil tries with longer and longer limits until the program, on a slow machine,
// comes as far as it is to.
func (m misbehaviour) tryUntil(t *testing.T, name string, ask func(*testing.T, *question) result) {
	for again := true; again; m.limit.after *= 4 {
		again = false
		t.Run(name, func(t *testing.T) { again = m.try(t, ask) })
	}
}

// try lets the program misbehave once, in front of a gateway of its own. It reports
// whether the limit was met too early.
func (m misbehaviour) try(t *testing.T, ask func(*testing.T, *question) result) (early bool) {
	t.Helper()
	proceed := fifo(t, "/srv/test/proceed")
	started := fifo(t, "/srv/test/started")
	installRemover(t)
	keys := "programs = 1\ngrace = \"200ms\"\n" + m.keys
	if m.limit.key != "" {
		keys += fmt.Sprintf("%s = \"%v\"\n", m.limit.key, m.limit.after)
	}
	w := startTraced(t, keys)
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
	got := ask(t, q)
	if m.status == http.StatusOK && m.isEarly(t, got) {
		return true
	}
	m.check(t, got)
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
	if m.isEarly(t, again) {
		return true
	}
	if again.status != http.StatusOK || again.end != whole {
		t.Errorf("the next request: %v", again)
	}
	w.await(t, "after the next request", func() []string { return w.traces(t, false) })
	for _, g := range w.quit(t) {
		t.Errorf("a goroutine is left:\n%s", g)
	}
	m.checkLog(t, w.troubles(t))
	return false
}

// isEarly reports whether the program had no time to begin an answer, and may have more.
func (m misbehaviour) isEarly(t *testing.T, got result) bool {
	early := got.status == http.StatusGatewayTimeout && m.limit.key != "" && m.limit.after < patience/4
	if early {
		t.Logf("%v: the answer has not begun within %v", got, m.limit.after)
	}
	return early
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
	// The process of a program that outlived its response is gone a moment before its place
	// is free, so the next request may have had to wait.
	lines = slices.DeleteFunc(lines, func(l line) bool { return l.Msg == "requests wait for programs to end" })
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Msg+": "+l.Error)
	}
	all := strings.Join(texts, "\n")
	switch {
	case m.silent && len(lines) == 0:
	case m.says() == "" && len(lines) > 0:
		t.Errorf("log:\n%s\nwant none", all)
	case !strings.Contains(all, m.says()):
		t.Errorf("log:\n%s\nwant %q", all, m.says())
	case m.says() != "" && m.program != "floods-stderr" && len(lines) != 1:
		t.Errorf("log:\n%s\nwant one line", all)
	}
	t.Logf("log: %s", all)
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
