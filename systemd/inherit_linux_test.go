package systemd

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"gatehouse/internal/testkit"
)

// inherit starts the test binary anew with the given descriptors, and returns
// what it reports. The test may talk to it meanwhile.
func inherit(t *testing.T, stdin, stdout *os.File, extra []*os.File, env ...string) (report func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Stdin, cmd.Stdout = stdin, stdout
	cmd.ExtraFiles = append(extra, w)
	cmd.Env = append([]string{"GATEHOUSE_TEST_CHILD=" + strconv.Itoa(3+len(extra)), "GORACE=atexit_sleep_ms=0"}, env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return func() string {
		out, rerr := io.ReadAll(r)
		r.Close()
		if err := cmd.Wait(); err != nil || rerr != nil {
			t.Errorf("child: %v, report: %v", err, rerr)
		}
		return string(out)
	}
}

func listen(t *testing.T, network string) (net.Listener, *os.File) {
	t.Helper()
	l := testkit.Listen(t, network)
	return l, testkit.File(t, l)
}

// greeting connects and reads to the end.
func greeting(t *testing.T, l net.Listener) string {
	t.Helper()
	c := testkit.Dial(t, l.Addr())
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestListeningStdin(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			l, f := listen(t, network)
			report := inherit(t, f, nil, nil)
			if got := greeting(t, l); got != "hello" {
				t.Errorf("got %q; want hello", got)
			}
			want := "0 0 <nil>\n" +
				"descriptor 0 (standard input) a listening socket " + network + "\n"
			if got := report(); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if network == "unix" {
				if _, err := os.Stat(l.Addr().String()); err != nil {
					t.Errorf("the socket went with a process that did not make it: %v", err)
				}
			}
		})
	}
}

func TestActivated(t *testing.T) {
	l1, f1 := listen(t, "unix")
	l2, f2 := listen(t, "tcp")
	report := inherit(t, nil, nil, []*os.File{f1, f2}, "LISTEN_PID=self", "LISTEN_FDS=2", "LISTEN_FDNAMES=fastcgi.site:http")
	for _, l := range []net.Listener{l1, l2} {
		if got := greeting(t, l); got != "hello" {
			t.Errorf("got %q; want hello", got)
		}
	}
	want := "2 0 <nil>\n" +
		"descriptor 3 (\"fastcgi.site\") a listening socket unix\n" +
		"descriptor 4 (\"http\") a listening socket tcp\n"
	if got := report(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestConnectedStdin is inetd: one socket on 0 and 1. What is printed must not
// reach the peer.
func TestConnectedStdin(t *testing.T) {
	c, s := testkit.Pair(t, "tcp")
	f := testkit.File(t, s)
	s.Close()
	report := inherit(t, f, f, nil)
	f.Close()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "hello" {
		t.Errorf("peer got %q, %v; want hello", got, err)
	}
	want := "0 0 <nil>\n" +
		"descriptor 0 (standard input) a connected socket tcp\n"
	if got := report(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestInspect(t *testing.T) {
	_, unixListener := listen(t, "unix")
	a, b := socketpair(t)
	defer a.Close()
	defer b.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	datagram := testkit.File(t, u)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	tests := []struct {
		name string
		file *os.File
		want Socket
	}{
		{"listener", unixListener, Socket{Listening, "unix"}},
		{"socketpair", a, Socket{None, "unix"}},
		{"datagram", datagram, Socket{Other, "tcp"}},
		{"no socket", null, Socket{}},
	}
	for _, tt := range tests {
		got, err := Inspect(int(tt.file.Fd()))
		if got != tt.want || err != nil {
			t.Errorf("%s: got %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	if _, err := Inspect(1 << 20); err == nil {
		t.Error("a descriptor that is not open: no error")
	}
}

// TestOwnPIDFDID compares the id with what a second look says: it is the same for
// the life of a process.
func TestOwnPIDFDID(t *testing.T) {
	a, aok := pidfdID()
	b, bok := pidfdID()
	if a != b || aok != bok || aok == (a == 0) {
		t.Errorf("got %d, %v and %d, %v", a, aok, b, bok)
	}
}
