package deploy_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// fcgiwrapPath is where the units of Debian's package have the program.
const fcgiwrapPath = "/usr/sbin/fcgiwrap"

// A unit is a unit file of systemd: its values by key, of all sections.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/lib/systemd/system", name))
	if err != nil {
		t.Fatal(err)
	}
	u := make(unit)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s is there %d times", key, len(u[key]))
	}
	return u[key][0]
}

// startUnits does with the units of fcgiwrap what systemd does: it opens the socket and
// starts the program as the service says, with the socket as LISTEN_FDS, or as its
// standard input.
func startUnits(t *testing.T, stdin bool) {
	t.Helper()
	socket, service := readUnit(t, "fcgiwrap.socket"), readUnit(t, "fcgiwrap.service")
	path := socket.one(t, "ListenStream")
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { os.Remove(path) })
	mode, err := strconv.ParseUint(socket.one(t, "SocketMode"), 8, 32)
	if err != nil {
		t.Fatal(err)
	}
	if socket.one(t, "SocketUser") != "www-data" || service.one(t, "User") != "www-data" {
		t.Fatal("the units have another user")
	}
	credential := webUser(t)
	if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, os.FileMode(mode)); err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	var args []string
	for _, word := range strings.Fields(service.one(t, "ExecStart")) {
		name, isVariable := strings.CutPrefix(word, "${")
		if !isVariable {
			args = append(args, word)
			continue
		}
		// One argument, whatever it holds.
		value := ""
		for _, assignment := range service["Environment"] {
			if v, ok := strings.CutPrefix(assignment, strings.TrimSuffix(name, "}")+"="); ok {
				value = v
			}
		}
		args = append(args, value)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "INVOCATION_ID=0123456789abcdef"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if stdin {
		cmd.Stdin = f
	} else {
		cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=fcgiwrap.socket")
		cmd.ExtraFiles = []*os.File{f}
	}
	startServer(t, "fcgiwrap", cmd, nil, path)
}

// replaceFcgiwrap puts the gateway in the place of fcgiwrap.
func replaceFcgiwrap(t *testing.T) {
	t.Helper()
	if err := unix.Mount(filepath.Join(workspace, "gatehouse"), fcgiwrapPath, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(fcgiwrapPath, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// TestFcgiwrapUnits: Debian's units for fcgiwrap and its example for nginx serve the
// same whether the program is Debian's or the gateway.
func TestFcgiwrapUnits(t *testing.T) {
	installProgram(t, "complain")
	for _, c := range []struct {
		name           string
		replace, stdin bool
	}{
		{"fcgiwrap", false, false},
		{"gatehouse", true, false},
		{"gatehouse, StandardInput=socket", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.replace {
				replaceFcgiwrap(t)
			}
			startUnits(t, c.stdin)
			startNginx(t, "testdata/fcgiwrap/nginx.conf")
			got := getURL(t, "/cgi-bin/complain?colour=blue")
			if got.status != http.StatusOK || got.body != "/cgi-bin/complain colour=blue nginx\n" {
				t.Errorf("status %d, body %q", got.status, got.body)
			}
			log, err := os.ReadFile("/var/log/nginx/error.log")
			if err != nil || !strings.Contains(string(log), `FastCGI sent in stderr: "it complains`) {
				t.Errorf("the program's stderr is not in nginx's log: %v\n%s", err, log)
			}
			// A link that leads out of the directory, to a program that finds no repositories.
			if got := getURL(t, "/cgi-bin/gitweb.cgi"); !strings.Contains(got.body, "No projects found") {
				t.Errorf("gitweb: status %d, body %q", got.status, got.body)
			}
			for path, status := range map[string]int{
				"/cgi-bin/missing":        http.StatusForbidden,
				"/cgi-bin/":               http.StatusForbidden,
				"/cgi-bin/complain/x":     http.StatusForbidden,
				"/cgi-bin/complain%00":    http.StatusBadRequest,
				"/cgi-bin/../etc/passwd":  http.StatusNotFound, // of nginx itself
				"/cgi-bin/../../etc/shad": http.StatusBadRequest,
			} {
				if got := getURL(t, path); got.status != status {
					t.Errorf("%s: status %d; want %d", path, got.status, status)
				}
			}
		})
	}
}
