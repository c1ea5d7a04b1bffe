package python

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// A peer is a worker without a pool, and the gateway's end of its connection.
type peer struct {
	*exec.Cmd
	conn   *net.UnixConn
	reader *record.Reader
	log    *testkit.Log // stdout and stderr
	ended  chan struct{}
	id     uint16
}

// startPeer starts a worker in a directory.
func startPeer(t testing.TB, python, dir, application string, options ...string) *peer {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	own, theirs := os.NewFile(uintptr(pair[0]), "own"), os.NewFile(uintptr(pair[1]), "theirs")
	conn, err := net.FileConn(own)
	own.Close()
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{conn: conn.(*net.UnixConn), log: new(testkit.Log), ended: make(chan struct{})}
	p.reader = record.NewReader(p.conn)
	p.Cmd = exec.Command(python, append([]string{"-c", bootstrap, "wsgi", application}, options...)...)
	p.Dir, p.Stdin, p.Stdout, p.Stderr = dir, theirs, p.log, p.log
	err = p.Start()
	theirs.Close()
	if err != nil {
		t.Fatalf("%s, which this test needs: %v", python, err)
	}
	go func() {
		defer close(p.ended)
		p.Wait()
	}()
	t.Cleanup(func() {
		p.conn.Close()
		select {
		case <-p.ended:
		case <-time.After(testkit.Patience):
			p.Process.Kill()
			<-p.ended
			t.Error("a worker did not end with its connection")
		}
		if t.Failed() {
			t.Logf("log of the worker:\n%s", p.log)
		}
	})
	p.conn.SetDeadline(time.Now().Add(2 * testkit.Patience))
	p.write(t, preamble())
	p.write(t, record.AppendRecord(nil, record.GetValues, 0, record.AppendPair(nil, "FCGI_MPXS_CONNS", "")))
	return p
}

func (p *peer) write(t testing.TB, b []byte) {
	t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// awaitReady waits for the answer to GET_VALUES.
func (p *peer) awaitReady(t testing.TB) {
	t.Helper()
	h, content, err := p.reader.Next()
	if err != nil {
		<-p.ended
		t.Fatalf("not ready: %v\n%s", err, p.log)
	}
	if want := record.AppendPair(nil, "FCGI_MPXS_CONNS", "0"); h.Type() != record.GetValuesResult || !bytes.Equal(content, want) {
		t.Fatalf("%v %q", h, content)
	}
}

// An answer is what came for a request.
type answer struct {
	blocks []string // the contents of STDOUT records
	stderr string
	status uint32
	free   string // "before" or "behind" END_REQUEST, or "" if it did not come
}

func (a *answer) stdout() string { return strings.Join(a.blocks, "") }

// body returns the body, and the head with its lines ending in "\n".
func (a *answer) split() (head, body string) {
	head, body, _ = strings.Cut(a.stdout(), "\r\n\r\n")
	return strings.ReplaceAll(head, "\r\n", "\n"), body
}

// request returns the records of a request. The body is sent in records of at most chunk bytes.
func (p *peer) request(body string, chunk int, vars ...string) []byte {
	p.id++
	b := record.AppendBegin(nil, p.id, record.Responder, record.KeepConn)
	var params []byte
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		params = record.AppendPair(params, name, value)
	}
	b = record.AppendStream(b, record.Params, p.id, params)
	b = record.AppendRecord(b, record.Params, p.id, nil)
	for len(body) > 0 {
		n := min(len(body), chunk)
		b = record.AppendRecord(b, record.Stdin, p.id, []byte(body[:n]))
		body = body[n:]
	}
	return record.AppendRecord(b, record.Stdin, p.id, nil)
}

// read reads the answer to the last request, to FREE or the end.
func (p *peer) read(t testing.TB) *answer {
	t.Helper()
	a := new(answer)
	for ended := false; !ended || a.free == ""; {
		h, content, err := p.reader.Next()
		if err == io.EOF && ended {
			break
		}
		if err != nil {
			t.Fatalf("%v after %+v; log:\n%s", err, a, p.log)
		}
		switch {
		case h.Type() == record.GetValuesResult && h.ID() == 0 && len(content) == 0:
			if a.free = "before"; ended {
				a.free = "behind"
			}
			continue
		case h.ID() != p.id || ended || a.free != "" && h.Type() != record.EndRequest:
			t.Fatalf("%v of request %d, after %.1000v", h, h.ID(), a)
		case h.Type() == record.Stdout && len(content) > 0:
			a.blocks = append(a.blocks, string(content))
		case h.Type() == record.Stderr && len(content) > 0:
			a.stderr += string(content)
		case h.Type() == record.EndRequest:
			end, err := record.ParseEnd(content)
			if err != nil || end.ProtocolStatus != record.RequestComplete {
				t.Fatalf("%+v, %v", end, err)
			}
			a.status, ended = end.AppStatus, true
			continue
		default:
			t.Fatalf("record %v with %q", h, content)
		}
	}
	return a
}

// do makes a request with these variables, besides the usual ones.
func (p *peer) do(t testing.TB, body string, vars ...string) *answer {
	t.Helper()
	p.write(t, p.request(body, record.MaxAligned, completed(body, vars)...))
	return p.read(t)
}

// completed returns the variables of a request with vars in the place of the usual ones.
func completed(body string, vars []string) []string {
	usual := []string{"REQUEST_METHOD=GET", "SCRIPT_NAME=", "PATH_INFO=/", "QUERY_STRING=", "SERVER_NAME=example.com", "SERVER_PORT=80",
		"SERVER_PROTOCOL=HTTP/1.1", "REQUEST_ID=abc-1"}
	if body != "" {
		usual = append(usual, fmt.Sprint("CONTENT_LENGTH=", len(body)))
	}
	for _, v := range usual {
		name, _, _ := strings.Cut(v, "=")
		given := false
		for _, w := range vars {
			given = given || strings.HasPrefix(w, name+"=")
		}
		if !given {
			vars = append(vars, v)
		}
	}
	return vars
}
