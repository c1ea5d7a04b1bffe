package daemon

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// openLogs opens the logs of a configuration, and begins to write them.
func openLogs(t *testing.T, l *logs, c Config) *logSetup {
	t.Helper()
	s, err := l.open(&c)
	if err != nil {
		t.Fatal(err)
	}
	s.begin()
	return s
}

func closeLogs(t *testing.T, l *logs, setups ...*logSetup) {
	t.Helper()
	for _, s := range setups {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if len(l.streams) != 0 {
		t.Errorf("%d streams are left open", len(l.streams))
	}
}

// A place has lines of one form, whatever the log and the access log are told.
func TestLogsDoNotMix(t *testing.T) {
	json := func(s string) bool { return strings.HasPrefix(s, "{") }
	text := func(s string) bool { return strings.HasPrefix(s, "time=") }
	common := func(s string) bool { return strings.HasPrefix(s, "- - - [") }
	for _, tt := range []struct {
		name           string
		config         Config
		stderr, access func(string) bool // of each line; access is in a file of its own
		lines          int               // on standard error
	}{
		{"both on standard error", Config{AccessLog: "stderr"}, json, nil, 2},
		{"both in JSON", Config{AccessLog: "stderr", LogFormat: LogJSON, AccessLogFormat: "json"}, json, nil, 2},
		{"both in text", Config{AccessLog: "stderr", LogFormat: LogText}, text, nil, 2},
		{"a file for requests", Config{AccessLog: "FILE", LogFormat: LogText}, text, common, 1},
		{"a file for the log", Config{Log: "FILE", AccessLog: "stderr"}, common, json, 1},
		{"a file for both", Config{Log: "FILE", LogFormat: LogText, AccessLog: "FILE/../access.log"}, nil, text, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr testkit.Log
			path := filepath.Join(t.TempDir(), "access.log")
			c := tt.config
			c.AccessLog, c.Log = strings.Replace(c.AccessLog, "FILE/..", filepath.Dir(path)+"/.", 1), strings.Replace(c.Log, "FILE", path, 1)
			c.AccessLog = strings.Replace(c.AccessLog, "FILE", path, 1)
			if err := c.checkLogs(); err != nil {
				t.Fatal(err)
			}
			l := newLogs(Environment{Stderr: &stderr})
			s := openLogs(t, l, c)
			s.accessLog()(request(), cgi.Result{})
			l.log.Info("a message")
			closeLogs(t, l, s)
			got, _ := os.ReadFile(path)
			for what, text := range map[string]string{"standard error": stderr.String(), "the file": string(got)} {
				form := tt.stderr
				if what == "the file" {
					form = tt.access
				}
				for line := range strings.Lines(text) {
					if form == nil || !form(line) {
						t.Errorf("%s has %s", what, line)
					}
				}
			}
			if n := strings.Count(stderr.String(), "\n"); n != tt.lines || n+bytes.Count(got, newline) != 2 {
				t.Errorf("%d lines on standard error, the file has %s", n, got)
			}
		})
	}
}

// A configuration that would mix forms is refused, with the remedy.
func TestCheckLogs(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		config Config
		want   string
	}{
		{"nothing", Config{}, ""},
		{"combined in a file", Config{AccessLog: filepath.Join(dir, "a"), AccessLogFormat: "combined"}, ""},
		{"combined beside the log", Config{AccessLog: "stderr", AccessLogFormat: "combined"},
			"access_log_format: requests are logged where the log goes (stderr), and have its form there: remove access_log_format, or write the path of a file for access_log"},
		{"JSON beside what may be text", Config{AccessLog: "stderr", AccessLogFormat: "json"},
			"access_log_format: requests are logged where the log goes (stderr), and have its form there: remove access_log_format, or write the path of a file for access_log"},
		{"JSON beside JSON", Config{AccessLog: "stderr", AccessLogFormat: "json", LogFormat: LogJSON}, ""},
		{"combined beside a log in a file", Config{Log: filepath.Join(dir, "a"), AccessLog: "stderr", AccessLogFormat: "combined"}, ""},
		{"the log's file", Config{Log: filepath.Join(dir, "a"), AccessLog: dir + "/./a", AccessLogFormat: "combined"},
			"access_log_format: requests are logged where the log goes (" + dir + "/a), and have its form there: remove access_log_format, or write the path of a file for access_log"},
		{"a format for nothing", Config{AccessLogFormat: "combined"}, "access_log_format: no requests are logged: write access_log, or remove access_log_format"},
		{"no log", Config{Log: "off"}, `log: the log cannot be turned off: write "stderr", "syslog" or the path of a file`},
		{"a directory", Config{Log: dir}, "log: " + dir + " is a directory: write the path of a file"},
		{"the journal in a file", Config{Log: filepath.Join(dir, "a"), LogFormat: LogJournal},
			`log_format: the journal takes the place of standard error, and log is "` + dir + `/a": remove log, or write log_format = "json" or "text"`},
		{"a syslog that is none", Config{AccessLog: "syslog:server=unix:" + dir + "/none"},
			"access log: " + dir + "/none: no such file or directory: there is no syslog server: install one, such as rsyslog, or write the path of a file"},
		{"an option of syslog", Config{Log: "syslog:color=red"}, "log: syslog: color: unknown: there are server, facility, severity, tag and nohostname"},
	} {
		t.Run(tt.name, func(t *testing.T) { checkError(t, tt.config.checkLogs(), tt.want) })
	}
}

func TestAccessLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for range 2 {
		l := newLogs(Environment{Log: slog.New(slog.DiscardHandler)})
		s := openLogs(t, l, Config{AccessLog: path})
		s.accessLog()(request(), cgi.Result{Code: 204})
		closeLogs(t, l, s)
	}
	b, err := os.ReadFile(path)
	if err != nil || bytes.Count(b, []byte(" 204 0 id=17 ")) != 2 || bytes.Count(b, newline) != 2 {
		t.Errorf("got %q, %v; want two lines", b, err)
	}
	l := newLogs(Environment{Stderr: io.Discard})
	if s := openLogs(t, l, Config{AccessLog: "off"}); s.accessLog() != nil {
		t.Error("off is on")
	}
	_, err = l.open(&Config{AccessLog: filepath.Dir(path)})
	checkError(t, err, "access log: "+filepath.Dir(path)+" is a directory: write the path of a file")
	_, err = l.open(&Config{Log: filepath.Dir(path)})
	checkError(t, err, "log: "+filepath.Dir(path)+" is a directory: write the path of a file")
	closeLogs(t, l)
}

// Of two configurations with one file, the requests of the older have the form of the newer, too,
// and one that is not begun changes nothing.
func TestLogsOfReloads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	var stderr testkit.Log
	l := newLogs(Environment{Stderr: &stderr})
	one := openLogs(t, l, Config{AccessLog: path})
	one.accessLog()(request(), cgi.Result{})
	refused, err := l.open(&Config{AccessLog: path, AccessLogFormat: "$status refused", Log: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	l.log.Info("still here")
	one.accessLog()(request(), cgi.Result{})
	if err := refused.close(); err != nil {
		t.Error(err)
	}
	two := openLogs(t, l, Config{AccessLog: path, AccessLogFormat: "json", LogFormat: LogText})
	one.accessLog()(request(), cgi.Result{})
	two.accessLog()(request(), cgi.Result{})
	logger := l.log.With("a", 1).WithGroup("g")
	logger.Info("now text", "b", 2)
	if err := one.close(); err != nil {
		t.Error(err)
	}
	two.accessLog()(request(), cgi.Result{})
	three := openLogs(t, l, Config{Log: filepath.Join(dir, "log")})
	logger.Info("to the file", "b", 2)
	closeLogs(t, l, two, three)
	l.log.Info("at the end")

	got, _ := os.ReadFile(path)
	var forms []string
	for line := range strings.Lines(string(got)) {
		forms = append(forms, line[:1])
	}
	if f := strings.Join(forms, ""); f != "--{{{" {
		t.Errorf("the lines begin with %s:\n%s", f, got)
	}
	for _, want := range []string{`"msg":"still here"`, `msg="now text" a=1 g.b=2`, `"msg":"at the end"`} {
		if strings.Count(stderr.String(), want) != 1 {
			t.Errorf("standard error has no %s:\n%s", want, &stderr)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "log")); !bytes.Contains(got, []byte(`"msg":"to the file","a":1,"g":{"b":2}}`)) || bytes.Count(got, newline) != 1 {
		t.Errorf("the file has %s", got)
	}
}

// Reopen opens all files anew: those of older configurations, too, and that of the log.
func TestLogsReopen(t *testing.T) {
	dir := t.TempDir()
	l := newLogs(Environment{Stderr: io.Discard})
	var setups []*logSetup
	names := []string{"log", "a", "b"}
	for _, name := range names[1:] {
		setups = append(setups, openLogs(t, l, Config{Log: filepath.Join(dir, "log"), AccessLog: filepath.Join(dir, name)}))
	}
	for _, name := range names {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	l.log.Info("m")
	for _, s := range setups {
		s.accessLog()(request(), cgi.Result{})
	}
	for _, name := range names { // none can be opened anew
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".2")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	checkError(t, l.reopen(), "log: "+dir+"/log is a directory: write the path of a file\naccess log: "+dir+"/a is a directory: write the path of a file\n"+
		"access log: "+dir+"/b is a directory: write the path of a file")
	closeLogs(t, l, setups...)
	for _, name := range names {
		for i, want := range []int{0, 1} {
			got, err := os.ReadFile(filepath.Join(dir, name+[]string{".1", ".2"}[i]))
			if err != nil || bytes.Count(got, newline) != want {
				t.Errorf("%s, file %d: %q, %v; want %d lines", name, i, got, err, want)
			}
		}
	}
}

// A fullDisk fails until it is emptied.
type fullDisk struct {
	io.Writer
	full bool
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.full {
		return 0, errors.New("no space left on device")
	}
	return d.Writer.Write(p)
}

// What a full disk costs is counted, and told once.
func TestAccessLogReportsOnce(t *testing.T) {
	var lines, complaints testkit.Log
	disk := &fullDisk{&lines, true}
	l := newLogs(Environment{Log: complaints.Logger()})
	w := NewLogWriter(disk)
	w.complainTo(l.log)
	s := &logStream{place: "/full", to: w, writer: w, users: 1}
	l.streams = append(l.streams, s)
	format, err := parseAccessFormat("common")
	if err != nil {
		t.Fatal(err)
	}
	s.format.Store(format)
	for _, full := range []bool{true, true, false, true, true} {
		disk.full = full
		s.add(request(), cgi.Result{})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(complaints.String(), "cannot be written"); n != 2 || !strings.Contains(complaints.String(), "lines=2\n") {
		t.Errorf("%d complaints; want 2, and one of 2 lines:\n%s", n, &complaints)
	}
	if n := strings.Count(lines.String(), "\n"); n != 1 {
		t.Errorf("%d lines; want 1", n)
	}
	if n := l.lost(); n != (lostLines{access: 4}) {
		t.Errorf("lost %+v; want 4 of the access log", n)
	}
}
