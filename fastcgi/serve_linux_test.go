package fastcgi

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// Without a listener Serve accepts on standard input, as a program that mod_fcgid or
// spawn-fcgi starts has to.
func TestServeStdin(t *testing.T) {
	l := testkit.Listen(t, "tcp")
	f := testkit.File(t, l)
	setStdin(t, f)
	served := make(chan error, 1)
	go func() {
		served <- Serve(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	}()
	ts := &testServer{t: t, addr: l.Addr()}
	c := ts.dial()
	c.send(get(1, 1))
	if a := c.answer(1); bodyOf(t, a) != "hello" {
		t.Errorf("got %q", a.stdout)
	}
	c.Close()
	// Accepting fails on a socket that is shut down.
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RD) })
	if err := testkit.Receive(t, "the end of Serve", served); err == nil {
		t.Error("Serve returned no error")
	}
}

// A connected socket is what inetd gives, and accepts nothing.
func TestServeStdinThatIsConnected(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	setStdin(t, os.NewFile(uintptr(fds[0]), "stdin"))
	if err := Serve(nil, nil); err == nil || !strings.Contains(err.Error(), "is no listening socket") {
		t.Errorf("Serve returned %v", err)
	}
}

// Of a standard input that listens, only the web servers are served that the
// environment names, and a list that cannot be read is no list.
func TestServeStdinForTheWebServer(t *testing.T) {
	for value, want := range map[string]string{"192.0.2.1": "", "127.0.0.1": "hello", "here": "is not an IP address"} {
		t.Run(value, func(t *testing.T) {
			l := testkit.Listen(t, "tcp")
			f := testkit.File(t, l)
			setStdin(t, f)
			t.Setenv(WebServerAddrsVariable, value)
			served := make(chan error, 1)
			go func() {
				served <- Serve(nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
			}()
			c := (&testServer{t: t, addr: l.Addr()}).dial()
			switch want {
			case "hello":
				c.send(get(1, 0))
				if a := c.answer(1); bodyOf(t, a) != want {
					t.Errorf("got %q", a.stdout)
				}
			case "":
				c.closed()
			default:
				if err := testkit.Receive(t, "the refusal", served); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("Serve returned %v", err)
				}
				return
			}
			raw, err := f.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RD) })
			testkit.Receive(t, "the end of Serve", served)
		})
	}
}
