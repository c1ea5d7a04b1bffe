//go:build unix

package syslog

import (
	"strings"
	"testing"
)

var parseTests = []struct {
	in   string
	want Target
	err  string
}{
	{"syslog", Target{"unixgram", "/dev/log", 3, Info, "gatehouse", true}, ""},
	{"syslog:server=unix:/run/log", Target{"unixgram", "/run/log", 3, Info, "gatehouse", true}, ""},
	{"syslog:server=192.0.2.1", Target{"udp", "192.0.2.1:514", 3, Info, "gatehouse", false}, ""},
	{"syslog:server=logs.example.org:5514,facility=local7,severity=notice,tag=web-1,nohostname", Target{"udp", "logs.example.org:5514", 23, 5, "web-1", true}, ""},
	{"syslog:server=[2001:db8::1]", Target{"udp", "[2001:db8::1]:514", 3, Info, "gatehouse", false}, ""},
	{"syslog:server=[2001:db8::1]:1", Target{"udp", "[2001:db8::1]:1", 3, Info, "gatehouse", false}, ""},
	{"syslog:tag=a", Target{"unixgram", "/dev/log", 3, Info, "a", true}, ""},
	{"syslog:", Target{}, "syslog: : unknown: there are server, facility, severity, tag and nohostname"},
	{"syslogd", Target{}, `"syslogd" does not begin with syslog`},
	{"syslog:server=", Target{}, `syslog: server: "" is neither unix:PATH nor HOST[:PORT]`},
	{"syslog:server=a:b", Target{}, `syslog: server: "a:b" is neither unix:PATH nor HOST[:PORT]`},
	{"syslog:server=a:70000", Target{}, `syslog: server: "a:70000" is neither unix:PATH nor HOST[:PORT]`},
	{"syslog:server=unix:log", Target{}, `syslog: server: "log" is not an absolute path`},
	{"syslog:facility=x", Target{}, `syslog: facility: "x" is not one of kern, user, `},
	{"syslog:severity=err", Target{}, `syslog: severity: "err" is not one of emerg, alert, crit, error, warn, notice, info, debug`},
	{"syslog:tag=a b", Target{}, `syslog: tag: "a b" is not 1 to 32 letters`},
	{"syslog:tag=" + strings.Repeat("x", 33), Target{}, `is not 1 to 32 letters`},
}

func TestParse(t *testing.T) {
	for _, tt := range parseTests {
		got, err := Parse(tt.in)
		switch {
		case tt.err == "" && (err != nil || *got != tt.want):
			t.Errorf("%s: %+v, %v; want %+v", tt.in, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v; want %s", tt.in, err, tt.err)
		}
	}
}

func TestCutSeverity(t *testing.T) {
	for _, tt := range []struct {
		line     string
		severity Severity
		text     string
	}{
		{"<3>text", Error, "text"},
		{"<7>", Debug, ""},
		{"<8>text", Info, "<8>text"},
		{"<33>text", Info, "<33>text"},
		{"text", Info, "text"},
		{"", Info, ""},
	} {
		if s, text := CutSeverity([]byte(tt.line), Info); s != tt.severity || string(text) != tt.text {
			t.Errorf("%q: %d, %q", tt.line, s, text)
		}
	}
}
