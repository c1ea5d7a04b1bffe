package deploy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// logPrograms are those whose requests are logged.
var logPrograms = map[string]string{
	"id":     "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s' \"$REQUEST_ID\"\n",
	"broken": "#!/bin/sh\nexit 3\n",
}

// startLogs starts gatehouse with further lines of a configuration.
func startLogs(t *testing.T, config string) (stderr func() string) {
	t.Helper()
	for name, text := range logPrograms {
		writeProgram(t, "/srv/logs/"+name, text, 0o755)
	}
	if err := os.MkdirAll("/run/logs", 0o755); err != nil {
		t.Fatal(err)
	}
	file := workspace + "/logs.toml"
	text := `fastcgi = "unix:/run/logs/fastcgi.sock,mode=0666"
http = "unix:/run/logs/http.sock,mode=0666"
scripts = "/srv/logs"
request_id_header = "X-Request-Id"
` + config
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(workspace+"/gatehouse", "check", "--config", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return startLogged(t, "logs", `exec gatehouse serve --config `+file+` 2>"$LOG"`, nil, "/run/logs/fastcgi.sock", "/run/logs/http.sock")
}

// getID makes a request through nginx, which claims an id of the client's own, and returns nginx's.
func getID(t *testing.T, path string) (id, body string) {
	t.Helper()
	request, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", "the-clients-own")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Get("X-Request-Id"), string(text)
}

// TestLogsInJournal: nginx's id of a request is the program's, that of the error page and that in
// the journal, by which journald finds the request, with its priority.
func TestLogsInJournal(t *testing.T) {
	if err := os.MkdirAll("/run/log/journal", 0o755); err != nil {
		t.Fatal(err)
	}
	startServer(t, "journald", exec.Command("/lib/systemd/systemd-journald"), nil)
	testkit.Until(t, "journald's socket", func() bool { _, err := os.Stat("/run/systemd/journal/socket"); return err == nil })
	stderr := startLogs(t, "log_format = \"journald\"\naccess_log = \"stderr\"\n")
	startNginx(t, "testdata/logs/nginx.conf")

	for _, path := range []string{"/id", "/proxied/id"} {
		if id, body := getID(t, path); len(id) != 32 || body != id {
			t.Errorf("%s: nginx has id %q, the program %q", path, id, body)
		}
	}
	id, body := getID(t, "/broken?a%20b")
	if want := "502 Bad Gateway\nRequest " + id + "\n"; body != want {
		t.Errorf("the error page is %q; want %q", body, want)
	}
	journal := func(args ...string) (entries []map[string]string) {
		out, err := exec.Command("journalctl", append([]string{"-D", "/run/log/journal", "-o", "json", "GATEHOUSE_REQUEST=" + id}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			entry := make(map[string]string)
			for name, value := range e {
				entry[name] = fmt.Sprint(value)
			}
			entries = append(entries, entry)
		}
		return entries
	}
	testkit.Until(t, "two entries", func() bool { return len(journal()) == 2 })
	errors := journal("-p", "err")
	if len(errors) != 1 {
		t.Fatalf("errors: %v", errors)
	}
	e := errors[0]
	if e["PRIORITY"] != "3" || e["SYSLOG_IDENTIFIER"] != "gatehouse" || e["GATEHOUSE_STATUS"] != "502" || e["GATEHOUSE_URI"] != "/broken?a%20b" ||
		!strings.HasPrefix(e["MESSAGE"], "request failed request="+id+" method=GET ") || !strings.Contains(e["GATEHOUSE_ERROR"], "exit status 3") {
		t.Errorf("the entry is %v", e)
	}
	if e = journal("-p", "info..info")[0]; e["GATEHOUSE_STATUS"] != "502" || e["GATEHOUSE_END"] != "complete" || e["GATEHOUSE_EXIT"] != "3" || e["GATEHOUSE_CLIENT"] != "127.0.0.1" {
		t.Errorf("the entry of the request is %v", e)
	}
	if got := stderr(); got != "" {
		t.Errorf("standard error has %s", got)
	}
}

// TestLogsInSyslog: rsyslog understands facility, severity, tag and text of messages to a socket
// of the machine, and over UDP. The combined format is nginx's, byte by byte.
func TestLogsInSyslog(t *testing.T) {
	if err := os.MkdirAll("/run/logs", 0o755); err != nil {
		t.Fatal(err)
	}
	const parts = "/var/log/syslog.parts"
	startServer(t, "rsyslogd", exec.Command("/usr/sbin/rsyslogd", "-n", "-i", "/run/logs/rsyslog.pid", "-f", "testdata/logs/rsyslog.conf"), nil)
	testkit.Until(t, "rsyslog's socket", func() bool { _, err := os.Stat("/run/logs/syslog.sock"); return err == nil })
	startLogs(t, `log = "syslog:server=unix:/run/logs/syslog.sock"
log_format = "text"
access_log = "syslog:server=127.0.0.1:5514,facility=local7,tag=web,severity=notice"
access_log_format = "combined"
`)
	startNginx(t, "testdata/logs/nginx.conf")
	id, _ := getID(t, "/broken?a%20b")
	got := func() string {
		text, _ := os.ReadFile(parts)
		return string(text)
	}
	for _, want := range []string{
		`(?m)^daemon err gatehouse \S+\| ?time=\S+ level=ERROR msg="request failed" request=` + id + ` method=GET uri="?/broken\?a%20b"? status=502 error=`,
		`(?m)^daemon info gatehouse \S+\| ?time=\S+ level=INFO msg=listening protocol=fastcgi `,
		`(?m)^local7 notice web \S+\| ?127\.0\.0\.1 - - \[`,
	} {
		re := regexp.MustCompile(want)
		if !testkit.Poll(func() bool { return re.MatchString(got()) }) {
			t.Errorf("rsyslog has no line %s:\n%s", want, got())
		}
	}
	ours := regexp.MustCompile(`(?m)^local7 .*\| ?(127.*)$`).FindStringSubmatch(got())
	testkit.Until(t, "nginx's line", func() bool {
		text, _ := os.ReadFile("/var/log/nginx/logs.log")
		return strings.Contains(string(text), "/broken")
	})
	theirs, err := os.ReadFile("/var/log/nginx/logs.log")
	if err != nil || ours == nil {
		t.Fatal(ours, err)
	}
	times := regexp.MustCompile(`\[[^]]*\]`)
	if want := times.ReplaceAllString(strings.TrimSpace(string(theirs)), "[]"); times.ReplaceAllString(ours[1], "[]") != want {
		t.Errorf("got\n%s\nnginx has\n%s", ours[1], want)
	}
}
