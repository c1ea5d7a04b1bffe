package slow_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/process"
	"gatehouse/cgi/script"
	"gatehouse/cgi/slow"
	"gatehouse/internal/testkit"
)

// programs is a slow.App of shell programs, with its log.
type programs struct {
	*slow.App
	script *script.App
	dir    string
	log    testkit.Log
}

func newPrograms(t *testing.T, l script.Limits) *programs {
	dir, err := os.MkdirTemp("", "slow")
	if err != nil {
		t.Fatal(err)
	}
	p := &programs{dir: dir, script: &script.App{Roots: []string{dir}, Limits: l, Log: slog.New(slog.DiscardHandler)}}
	p.App = &slow.App{App: p.script, Name: "/cgi-bin", Limits: slow.Limits{After: time.Millisecond, Interval: -1}, Log: p.log.Logger()}
	t.Cleanup(func() {
		p.script.Close()
		p.App.Close()
		os.RemoveAll(dir)
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *programs) sh(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// begin runs a request for a program in the background; the end of the programs ends it.
func (p *programs) begin(t *testing.T, id uint64, name string, s cgi.Sink, length int64, body io.Reader) {
	env := cgi.NewEnviron("REQUEST_METHOD=POST", "REQUEST_URI=/"+name, "SCRIPT_NAME=", "PATH_INFO=/"+name, "SERVER_PROTOCOL=HTTP/1.1")
	h := cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(&cgi.Request{ID: id, Env: env, ContentLength: length, Body: body}, s, p.App)
	}()
	t.Cleanup(func() { p.script.Close(); <-done })
}

// line returns the last line about a request that has all of the parts.
func (p *programs) line(t *testing.T, id uint64, parts ...string) (found string) {
	t.Helper()
	if !testkit.Poll(func() bool {
	lines:
		for line := range strings.Lines(p.log.String()) {
			if !strings.Contains(line, `"request is slow" request=`+fmt.Sprint(id)+" ") {
				continue
			}
			for _, part := range parts {
				if !strings.Contains(line, part) {
					continue lines
				}
			}
			found = line
		}
		return found != ""
	}) {
		t.Fatalf("request %d has no line with %q:\n%s", id, parts, p.log.String())
	}
	return found
}

// again runs the test with a limit that is long enough for the program to be where it stays.
func again(t *testing.T, l script.Limits, test func(t *testing.T, p *programs) (early bool)) {
	testkit.Longer(t, 100*time.Millisecond, func(t *testing.T, limit time.Duration) bool {
		p := newPrograms(t, l)
		p.App.Limits.After = limit
		return test(t, p)
	})
}

// TestProgram: a program that waits for the child of a child.
func TestProgram(t *testing.T) {
	again(t, script.Limits{}, func(t *testing.T, p *programs) bool {
		p.sh(t, "report", "TOKEN=abc sh -c 'sleep 4321; true'; true")
		p.begin(t, 7, "report", new(cgitest.Recorder), 0, nil)
		line := p.line(t, 7, "processes=")
		if !strings.Contains(line, ": sleeping (S)") || strings.Count(line, `\n`) < 2 || !strings.Contains(line, "sleep 4321: sleeping (S)") {
			return true
		}
		for _, want := range []string{"level=WARN", "app=/cgi-bin", "method=POST", "uri=/report", "age=", "program=" + p.dir + "/report",
			`stage="waiting for the application to respond; nothing has passed for `,
			"/bin/sh " + p.dir + "/report: sleeping", "; waits for a child [wait4, do_wait", "sleeps because it asked to"} {
			if !strings.Contains(line, want) {
				t.Errorf("no %q in the line:\n%s", want, line)
			}
		}
		for _, alien := range []string{"abc", "stack=", "unread=", "left_out="} {
			if strings.Contains(line, alien) {
				t.Errorf("%s is in the line:\n%s", alien, line)
			}
		}
		return false
	})
}

// A stuck sink takes nothing until it is released.
type stuck struct {
	cgitest.Recorder
	release chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) { <-s.release; return len(p), nil }
func (s *stuck) Flush() error                { return nil }
func (s *stuck) Finish(o cgi.Outcome) error  { return nil }
func (s *stuck) Read(p []byte) (int, error)  { <-s.release; return 0, io.ErrUnexpectedEOF }
func (s *stuck) Close() error                { return nil }
func (s *stuck) WriteHead(h *cgi.Head) error { return nil }

// TestClientReadsNothing: it is the client that the request waits for, and so does the program.
func TestClientReadsNothing(t *testing.T) {
	again(t, script.Limits{}, func(t *testing.T, p *programs) bool {
		p.sh(t, "flood", "echo Content-Type: text/plain; echo; exec cat /dev/zero")
		s := &stuck{release: make(chan struct{})}
		p.begin(t, 1, "flood", s, 0, nil)
		t.Cleanup(func() { close(s.release) })
		line := p.line(t, 1)
		return !strings.Contains(line, `stage="`+cgi.StageClient.String()+`"`) ||
			!strings.Contains(line, "waits to write to its stdout, which has the response") || !strings.Contains(line, "its stdout is full")
	})
}

// TestClientSendsNothing: the body has begun, and the program waits for the rest of it.
func TestClientSendsNothing(t *testing.T) {
	again(t, script.Limits{}, func(t *testing.T, p *programs) bool {
		p.sh(t, "upload", "cat >/dev/null; true")
		s := &stuck{release: make(chan struct{})}
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", cgi.BodyAhead)), s)
		p.begin(t, 1, "upload", new(cgitest.Recorder), 1<<20, struct {
			io.Reader
			io.Closer
		}{body, s})
		t.Cleanup(func() { close(s.release) })
		line := p.line(t, 1)
		return !strings.Contains(line, `stage="`+cgi.StageBody.String()+`"`) || !strings.Contains(line, "waits to read from its stdin")
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestProgramEnded: a request that goes on without its program, as its body is waited for.
func TestProgramEnded(t *testing.T) {
	again(t, script.Limits{}, func(t *testing.T, p *programs) bool {
		read := filepath.Join(p.dir, "read") // once the rest of the body is waited for
		p.sh(t, "upload", "while ! test -e "+read+"; do sleep 0.01; done; exit 3")
		s := &stuck{release: make(chan struct{})}
		body := io.MultiReader(strings.NewReader(strings.Repeat("x", cgi.BodyAhead)), readerFunc(func(b []byte) (int, error) {
			os.WriteFile(read, nil, 0o644)
			return s.Read(b)
		}))
		p.begin(t, 1, "upload", new(cgitest.Recorder), 1<<20, struct {
			io.Reader
			io.Closer
		}{body, s})
		t.Cleanup(func() { close(s.release) })
		return !strings.Contains(p.line(t, 1), `processes="the program has ended"`)
	})
}

// TestQueue: a request that waits for its turn has no program yet.
func TestQueue(t *testing.T) {
	again(t, script.Limits{Programs: 1}, func(t *testing.T, p *programs) bool {
		p.sh(t, "sleep", "exec sleep 4321")
		p.begin(t, 1, "sleep", new(cgitest.Recorder), 0, nil)
		p.line(t, 1)
		p.begin(t, 2, "sleep", new(cgitest.Recorder), 0, nil)
		line := p.line(t, 2)
		return !strings.Contains(line, `stage="waiting in the queue for its turn"`) || strings.Contains(line, "program=") || strings.Contains(line, "stack=")
	})
}

// TestOtherUser: programs of other users are seen as well.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test changes users: run it as root")
	}
	again(t, script.Limits{}, func(t *testing.T, p *programs) bool {
		p.script.RunAs = process.RunAs{User: "nobody"}
		p.sh(t, "sleep", "sleep 4321; true")
		p.begin(t, 1, "sleep", new(cgitest.Recorder), 0, nil)
		line := p.line(t, 1)
		return !strings.Contains(line, "sleep 4321: sleeping (S)")
	})
}
