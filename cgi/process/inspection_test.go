package process

import (
	"strings"
	"testing"
	"time"
)

func TestCommandText(t *testing.T) {
	for line, want := range map[string]string{
		"sh\x00-c\x00sleep 10\x00":                           "sh -c sleep 10",
		"mysqldump\x00--password=abc\x00-u\x00x\x00":         "mysqldump --password=*** -u x",
		"prog\x00--api-token\x00abc\x00file\x00":             "prog --api-token *** file",
		"prog\x00--auth\x00--verbose\x00":                    "prog --auth --verbose",
		"env\x00DB_PASSWD=abc\x00prog\x00":                   "env DB_PASSWD=*** prog",
		"psql\x00postgres://me:abc@db:5432/x?password\x00":   "psql postgres://me:***@db:5432/x?password",
		"curl\x00https://host/a@b:c\x00https://me@host/\x00": "curl https://host/a@b:c https://me@host/",
		"perl\x00-e\x00print $password = 'x'\x00":            "perl -e print $password = 'x'",
		"a\x1b[2J\nb\xff\x00":                                "a?[2J?b?",
		strings.Repeat("x", 300) + "\x00":                    strings.Repeat("x", 200) + "...",
		strings.Repeat("\u00e9", 150) + "\x00":               strings.Repeat("\u00e9", 100) + "...",
	} {
		if got := commandText([]byte(line)); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestInspectLate: a look that the system holds up is left alone, no other one begins
// meanwhile, and the next one sees again.
func TestInspectLate(t *testing.T) {
	p := &Process{exited: make(chan struct{})}
	release, stopped := make(chan struct{}), false
	n := p.within(time.Millisecond, func() Inspection { <-release; return Inspection{} }, func() { stopped = true })
	if len(n.Processes) > 0 || len(n.Unread) != 1 || !strings.Contains(n.Unread[0], "within 1ms") || !stopped {
		t.Errorf("%+v, stopped %v", n, stopped)
	}
	if n = p.Inspect(); len(n.Unread) != 1 || !strings.Contains(n.Unread[0], "earlier look") {
		t.Errorf("beside it: %+v", n)
	}
	close(release)
	for p.looking.Load() {
		time.Sleep(time.Millisecond)
	}
	n = p.within(time.Minute, func() Inspection { return Inspection{More: 3} }, nil)
	if n.More != 3 {
		t.Errorf("after it: %+v", n)
	}
}

// TestInspectionString: the tree is indented, and what is not known is left out.
func TestInspectionString(t *testing.T) {
	n := Inspection{
		Processes: []Inspected{
			{PID: 7, Command: "sh /srv/x", State: "S", Channel: "do_wait", Call: "wait4", Waits: "waits for a child", CPU: 20 * time.Millisecond, Age: 12345 * time.Millisecond, Memory: 3 << 20, Threads: 1, Descriptors: 3},
			{PID: 8, Depth: 1, Command: "[x]", State: "Z", Descriptors: -1, Threads: 2, Peers: []string{"10.0.0.1:5432", "[::1]:80"}},
		},
		More: 2, Pipes: []string{"its stdout is full: 65536 bytes have not been taken"}, Unread: []string{"nothing"},
	}
	want := `7 sh /srv/x: sleeping (S), age 12.3s, cpu 20ms, 3.0 MiB, 3 descriptors; waits for a child [wait4, do_wait]
  8 [x]: ended, and not waited for by its parent (Z), age 0s, cpu 0s, 0.0 MiB, 2 threads, connected to 10.0.0.1:5432 and [::1]:80
and 2 more
its stdout is full: 65536 bytes have not been taken`
	if got := n.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
