package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// The log's own file: what is lost is told on standard error, and counted after it is closed, too.
func TestLogOnFullDisk(t *testing.T) {
	var stderr testkit.Log
	l := newLogs(Environment{Stderr: &stderr})
	s := openLogs(t, l, Config{Log: "/dev/full"})
	l.log.Info("one")
	if err := l.current.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	l.log.Info("two")
	closeLogs(t, l, s)
	if n := l.lost(); n != (lostLines{log: 2}) {
		t.Errorf("lost %+v; want 2 of the log", n)
	}
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"msg":"the log cannot be written: lines are lost until it can","log":"/dev/full","error":"no space left on device"`) {
		t.Errorf("standard error: %s", got)
	}
}

// datagrams is a server that takes datagrams on a socket of its own.
func datagrams(t *testing.T, network string) (address string, read func() string) {
	t.Helper()
	address = "127.0.0.1:0"
	if network == "unixgram" {
		address = filepath.Join(t.TempDir(), "s")
	}
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	messages := make(chan string, 100)
	go func() {
		defer close(messages)
		for b := make([]byte, 64<<10); ; {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			messages <- string(b[:n])
		}
	}()
	return c.LocalAddr().String(), func() string { return testkit.Receive(t, "a datagram", messages) }
}

// Messages of syslog, on a real socket: to /dev/log without the name of this machine, as glibc
// sends them, over UDP with it (RFC 3164 § 4).
func TestSyslog(t *testing.T) {
	const at = `[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} `
	local, readLocal := datagrams(t, "unixgram")
	remote, readRemote := datagrams(t, "udp")
	l := newLogs(Environment{Stderr: io.Discard})
	s := openLogs(t, l, Config{Log: "syslog:server=unix:" + local, LogFormat: LogText, AccessLog: "syslog:server=" + remote + ",facility=local7,severity=notice,tag=web",
		AccessLogFormat: "combined"})
	l.log.Error("bad", "error", "line\nend")
	l.log.Warn("odd")
	s.accessLog()(request("REQUEST_METHOD=GET", "REQUEST_URI=/<3>"), cgi.Result{Code: 200})
	pid := fmt.Sprint(os.Getpid())
	host := `[^ ]+ `
	for _, tt := range []struct{ got, want string }{
		{readLocal(), `<27>` + at + `gatehouse\[` + pid + `\]: time=[^ ]+ level=ERROR msg=bad error="line\\nend"`},
		{readLocal(), `<28>` + at + `gatehouse\[` + pid + `\]: time=[^ ]+ level=WARN msg=odd`},
		{readRemote(), `<189>` + at + host + `web\[` + pid + `\]: - - - \[.*\] "GET /<3> -" 200 0 "-" "-"`},
	} {
		if !regexp.MustCompile("^" + tt.want + "$").MatchString(tt.got) {
			t.Errorf("got %q; want %s", tt.got, tt.want)
		}
	}
	closeLogs(t, l, s)

	// Both in one place: as JSON, with the severity of each.
	s = openLogs(t, l, Config{Log: "syslog:server=unix:" + local, AccessLog: "syslog:server=unix:" + local})
	s.accessLog()(request(), cgi.Result{Code: 200})
	if got := readLocal(); !strings.HasPrefix(got, "<30>") || !strings.Contains(got, `: {"time":"`) {
		t.Errorf("got %q", got)
	}
	closeLogs(t, l, s)
}

// readEntry reads an entry of the journal's native protocol.
func readEntry(t *testing.T, entry string) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	for entry != "" {
		line, rest, ok := strings.Cut(entry, "\n")
		name, value, plain := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("no line end behind %q", line)
		}
		if !plain {
			n := binary.LittleEndian.Uint64([]byte(rest))
			value, rest = rest[8:8+n], rest[8+n+1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("%s twice", name)
		}
		fields[name], entry = value, rest
	}
	return fields
}

// Entries of the journal: priorities, fields, and a message that says all of them.
func TestJournal(t *testing.T) {
	address, read := datagrams(t, "unixgram")
	var stderr testkit.Log
	l := newLogs(Environment{Stderr: &stderr, journal: address})
	s := openLogs(t, l, Config{LogFormat: LogJournal, AccessLog: "stderr"})
	l.log.Error("request failed", "request", "abc-1", "status", 502, "error", errors.New("it \"broke\"\nMESSAGE=forged"), "stack", "one\ntwo", "_pid", 1, "ok", true)
	want := map[string]string{"PRIORITY": "3", "SYSLOG_IDENTIFIER": "gatehouse",
		"MESSAGE":           `request failed request=abc-1 status=502 error="it \"broke\"\nMESSAGE=forged" _pid=1 ok=true`,
		"GATEHOUSE_REQUEST": "abc-1", "GATEHOUSE_STATUS": "502", "GATEHOUSE_ERROR": "it \"broke\"\nMESSAGE=forged", "GATEHOUSE_STACK": "one\ntwo",
		"GATEHOUSE__PID": "1", "GATEHOUSE_OK": "true"}
	if got := readEntry(t, read()); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	s.accessLog()(request(plainRequest...), plainResult)
	got := readEntry(t, read())
	if m := got["MESSAGE"]; got["PRIORITY"] != "6" || got["GATEHOUSE_REQUEST"] != "17" || got["GATEHOUSE_URI"] != "/x?y" || !strings.HasPrefix(m, `access request=17 client=192.0.2.1 user=alice method=GET uri=/x?y `) {
		t.Errorf("got %v", got)
	}
	if _, empty := got["GATEHOUSE_TRACE_ID"]; empty {
		t.Error("it has a field without a value")
	}
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn} {
		l.log.Log(t.Context(), level, "m")
		if got, want := readEntry(t, read())["PRIORITY"], map[slog.Level]string{slog.LevelInfo: "6", slog.LevelWarn: "4"}[level]; got != want {
			t.Errorf("%v has priority %s", level, got)
		}
	}
	closeLogs(t, l, s)
	if got := stderr.String(); got != "" {
		t.Errorf("standard error has %s", got)
	}

	_, err := newLogs(Environment{Stderr: io.Discard, journal: "/nonexistent/socket"}).open(&Config{LogFormat: LogJournal})
	checkError(t, err, `log_format: journald cannot be reached at /nonexistent/socket: no such file or directory: write "json" or "text"`)
}

// A journal that takes nothing blocks nobody, and one that is restarted is found again. What was
// lost is counted, and told when it can be.
func TestJournalFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen := func() *net.UnixConn {
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server := listen()
	l := newLogs(Environment{Stderr: io.Discard, journal: path})
	s := openLogs(t, l, Config{LogFormat: LogJournal})
	lines := 0
	for ; l.lost().log == 0; lines++ { // more than the queue of the socket holds
		l.log.Info("m", "line", lines)
		if lines > 1<<20 {
			t.Fatal("nothing is lost")
		}
		if lines%100 == 0 {
			_ = l.current.writer.Flush()
		}
	}
	if err := l.current.writer.Flush(); err != nil {
		t.Fatal(err)
	}
	lost := l.lost().log
	server.Close()
	os.Remove(path)
	server = listen()
	defer server.Close()
	l.log.Info("after the restart")
	var messages []string
	b := make([]byte, 64<<10)
	for len(messages) < 2 {
		n, err := server.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, readEntry(t, string(b[:n]))["MESSAGE"])
	}
	want := []string{"after the restart", fmt.Sprintf(`log lines dropped: what they are written to was full, or failed lines=%d`, lost)}
	if !slices.Equal(messages, want) {
		t.Errorf("got %q; want %q", messages, want)
	}
	closeLogs(t, l, s)
}
