package python

import (
	"strings"
	"testing"

	"gatehouse/cgi"
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
	awaitLog(t, log, "between requests")
	awaitLog(t, log, "by descriptor 2")
	for line := range strings.Lines(log.String()) {
		for said, tagged := range map[string]bool{"one line": true, "from logging": true, "from a thread": true, "by the buffer": false, "in close": false, "between requests": false} {
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
		if _, body := a.split(); body != "done" {
			t.Errorf("%s: body %q", python.version, body)
		}
		lines := 0
		for line := range strings.Lines(a.stderr) {
			if strings.HasPrefix(line, "line ") {
				lines++
			} else if line != "alarm\n" {
				t.Errorf("%s: line %q", python.version, line)
			}
		}
		if !strings.Contains(a.stderr+p.log.String(), "alarm\n") || lines != 2000 {
			t.Errorf("%s: %d lines of 2000", python.version, lines)
		}
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
		if log := p.log.String(); log != "of the child\n" {
			t.Errorf("%s: log %q", python.version, log)
		}
	}
}
