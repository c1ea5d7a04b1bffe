package python

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestStderr: what is written to sys.stderr in a request has its id in the log, and what is written
// between requests, or to descriptor 2, has none.
func TestStderr(t *testing.T) {
	url, log := serveApp(t, &App{Application: "rules:app", Dir: testdata(t), Env: noBytecode, Limits: Limits{Programs: 1, QueueWait: testkit.Patience}}, cgi.Limits{})
	for _, path := range []string{"/stderr", "/stderrlater"} {
		if status, body := visit(t, url+path, ""); status != "200" || body != "done" {
			t.Errorf("%s: %s, %q", path, status, body)
		}
	}
	awaitLog(t, log, "by descriptor 2")
	for said, tagged := range map[string]bool{"one line": true, "from logging": true, "from a handler": true, "from a warning": true, "from a thread": true, "partly": true,
		"by the buffer": false, "in close": false, "between requests": false} {
		awaitLog(t, log, said)
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, said) && strings.Contains(line, "request=") != tagged {
				t.Errorf("whether it has the id of a request: want %v, for %s", tagged, line)
			}
		}
	}
}

// TestStderrInterrupted: what the handler of a signal writes, in the midst of a record as well, breaks
// no record, holds nobody up and is not lost.
func TestStderrInterrupted(t *testing.T) {
	for _, python := range pythons(t) {
		p := startPeer(t, python.path, testdata(t), "rules:app")
		p.awaitReady(t)
		a := p.do(t, "", "PATH_INFO=/stderrinterrupted")
		_, written := a.split()
		p.awaitLines(t, python.version, a, written)
	}
}

// awaitLines waits until the log has as many lines and alarms as were written, and nothing else. What does
// not fit into the queue is in the log of the process.
func (p *peer) awaitLines(t *testing.T, what string, a *answer, written string) {
	t.Helper()
	testkit.Until(t, what+": lines and alarms that were written: "+written, func() bool {
		log := a.stderr + p.log.String()
		lines, alarms := strings.Count(log, "line\n"), strings.Count(log, "alarm\n")
		return fmt.Sprint(lines, " ", alarms) == written && len(log) == lines*len("line\n")+alarms*len("alarm\n")
	})
}

// TestStderrLogged: a thread and the handler of a signal that log by the same handler of logging, while
// a response is sent, do not wait for each other, and nothing is lost.
func TestStderrLogged(t *testing.T) {
	for _, python := range pythons(t) {
		for _, stream := range []string{"", "wsgi.errors"} {
			p := startPeer(t, python.path, testdata(t), "rules:app")
			p.awaitReady(t)
			a := p.do(t, "", "PATH_INFO=/stderrlogged", "QUERY_STRING="+stream)
			_, written := p.do(t, "", "PATH_INFO=/seen").split()
			p.awaitLines(t, python.version, a, written)
		}
	}
}

// TestStderrFlooded: threads that do nothing but write to sys.stderr hold up no response, and nothing is lost.
func TestStderrFlooded(t *testing.T) {
	for _, python := range pythons(t) {
		p := startPeer(t, python.path, testdata(t), "rules:app")
		p.awaitReady(t)
		a := p.do(t, "", "PATH_INFO=/stderrflooded")
		_, written := p.do(t, "", "PATH_INFO=/seen").split()
		p.awaitLines(t, python.version, a, written)
	}
}

// TestStderrTakenEarly: what has taken sys.stderr, or its buffer, before the application is imported goes
// on writing to it, and sys.stderr is like that of the interpreter.
func TestStderrTakenEarly(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "sitecustomize.py"), `
import codecs, logging, sys
logging.basicConfig(format='early: %(message)s')
writer = codecs.getwriter('utf-8')(sys.stderr.buffer)
`)
	t.Setenv("PYTHONPATH", dir)
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	for _, python := range pythons(t) {
		for _, unbuffered := range []string{"", "1"} {
			t.Setenv("PYTHONUNBUFFERED", unbuffered)
			p := startPeer(t, python.path, testdata(t), "rules:app")
			p.awaitReady(t)
			want := "<stderr>\nw\nbackslashreplace\n" + map[string]string{"": "False", "1": "True"}[unbuffered]
			if _, got := p.do(t, "", "PATH_INFO=/stderrearly").split(); got != want {
				t.Errorf("%s: sys.stderr is like %q; want %q", python.version, got, want)
			}
			testkit.Until(t, python.version+": what was written early", func() bool { return p.log.String() == "early: from logging\nby the buffer\n" })
		}
	}
}

// TestStderrTaken: whatever an application does to sys.stderr, what is of no request is in the log of the
// process, and the worker serves on.
func TestStderrTaken(t *testing.T) {
	for _, python := range pythons(t) {
		for _, code := range []string{"sys.stderr.close()", "sys.stderr = io.TextIOWrapper(sys.stderr.detach(), 'utf-8')", "sys.stderr = None", "os.close(2)", "os.dup2(0, 2)"} {
			p := startPeer(t, python.path, testdata(t), "rules:app")
			p.awaitReady(t)
			if _, body := p.do(t, "", "PATH_INFO=/stderrtaken", "QUERY_STRING="+code).split(); body != "done" {
				t.Errorf("%s: %s: body %q", python.version, code, body)
			}
			testkit.Until(t, python.version+": the log after "+code, func() bool {
				log := p.log.String()
				return strings.Contains(log, "in close\n") && strings.HasSuffix(log, "\nValueError: from close\n")
			})
			if _, body := p.do(t, "", "PATH_INFO=/unread").split(); body != "unread" {
				t.Errorf("%s: %s, and the next request: body %q", python.version, code, body)
			}
		}
	}
}

// TestStderrLongLine: what is kept back of a line is bounded, also if it was written at once.
func TestStderrLongLine(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app")
	p.awaitReady(t)
	request := p.request("body", record.MaxAligned, completed("body", []string{"PATH_INFO=/partlater", "QUERY_STRING=read()"})...)
	head := len(request) - len(record.AppendStream(nil, record.Stdin, p.id, []byte("body"))) - len(record.AppendRecord(nil, record.Stdin, p.id, nil))
	p.write(t, request[:head])
	if h, content, err := p.reader.Next(); err != nil || h.Type() != record.Stderr || string(content) != strings.Repeat("x", 10000) {
		t.Fatalf("%v %.100q, %v", h, content, err)
	}
	p.write(t, request[head:])
	if _, got := p.read(t).split(); got != "b'body'" {
		t.Errorf("read %s", got)
	}
}

// TestStderrForked: a child writes to the log of the worker, and sends nothing of what its parent has begun.
func TestStderrForked(t *testing.T) {
	for _, python := range pythons(t) {
		p := startPeer(t, python.path, testdata(t), "rules:app")
		p.awaitReady(t)
		if a := p.do(t, "", "PATH_INFO=/stderrforked"); a.stderr != "party\n" {
			t.Errorf("%s: stderr %q", python.version, a.stderr)
		}
		testkit.Until(t, python.version+": what the child has written, alone", func() bool { return p.log.String() == "of the child\n" })
	}
}
