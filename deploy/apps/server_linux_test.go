package apps_test

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// The sockets that the locations of nginx name.
const (
	gatewaySocket  = "/run/gatehouse/fastcgi.sock"
	fcgiwrapSocket = "/run/fcgiwrap.socket"
)

// environment is what systemd gives to services.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8"}

// start starts a server and waits until it accepts connections at each of the addresses, which
// are host:port or the path of a unix socket. The end of the test ends it, by SIGTERM. A test
// that fails shows what it has logged.
func start(t *testing.T, cmd *exec.Cmd, addresses ...string) {
	t.Helper()
	log := new(testkit.Log)
	name := filepath.Base(cmd.Path)
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.Env == nil {
		cmd.Env = environment
	}
	cmd.Dir = "/"
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	done := make(chan struct{})
	var err error
	go func() {
		err = cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		ours := isGateway(t, cmd.Path)
		if ours {
			cmd.Process.Signal(syscall.SIGTERM)
		} else {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		if testkit.Receive(t, "the end of "+name, done); ours && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text := log.String(); text != "" && (t.Failed() || testing.Verbose()) {
			t.Logf("%s:\n%s", name, text)
		}
	})
	for _, address := range addresses {
		network := "tcp"
		if filepath.IsAbs(address) {
			network = "unix"
		}
		testkit.Until(t, name+" listens at "+address, func() bool {
			select {
			case <-done:
				t.Fatalf("%s has ended: %v\n%s", name, err, log.String())
			default:
			}
			conn, err := net.Dial(network, address)
			if err != nil {
				return false
			}
			conn.Close()
			return true
		})
	}
}

// isGateway reports whether a program is the gateway, under whatever name.
func isGateway(t *testing.T, path string) bool {
	t.Helper()
	a, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(filepath.Join(workspace, "gatehouse"))
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(a, b)
}

// startGateway starts the gateway with a configuration, as its unit does, after a check of it that
// has nothing to say.
func startGateway(t *testing.T, config string) {
	t.Helper()
	const file = "/etc/gatehouse/gatehouse.toml"
	write(t, file, `fastcgi = "unix:`+gatewaySocket+`,mode=0660,group=www-data"`+"\n"+config, 0o644)
	owner := credential(t, "www-data")
	if err := os.MkdirAll(filepath.Dir(gatewaySocket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Dir(gatewaySocket), int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	command := func(name string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(workspace, "gatehouse"), name, "--config", file)
		cmd.SysProcAttr, cmd.Env = &syscall.SysProcAttr{Credential: owner}, environment
		return cmd
	}
	var warnings strings.Builder
	check := command("check")
	check.Stderr = &warnings
	if err := check.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("gatehouse check: %v\n%s", err, warnings.String())
	}
	start(t, command("serve"), gatewaySocket)
}

// startFcgiwrap starts what is installed as fcgiwrap in the way of spawn-fcgi, with room for some
// programs at once.
func startFcgiwrap(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", fcgiwrapSocket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(fcgiwrapSocket, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("/usr/sbin/fcgiwrap", "-f", "-c", "4")
	cmd.Stdin = f
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, "www-data")}
	start(t, cmd, fcgiwrapSocket)
}

// replaceFcgiwrap puts the gateway in the place of fcgiwrap.
func replaceFcgiwrap(t *testing.T) {
	t.Helper()
	if err := unix.Mount(filepath.Join(workspace, "gatehouse"), "/usr/sbin/fcgiwrap", "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
}

// startNginx starts nginx on port 80 with a site that has these locations.
func startNginx(t *testing.T, locations string) {
	t.Helper()
	os.Remove("/etc/nginx/sites-enabled/default")
	write(t, "/etc/nginx/sites-enabled/site", "server {\nlisten 80;\nserver_name localhost;\nclient_max_body_size 0;\n"+locations+"}\n", 0o644)
	start(t, exec.Command("/usr/sbin/nginx", "-g", "daemon off;"), "127.0.0.1:80")
	t.Cleanup(func() {
		if text, err := os.ReadFile("/var/log/nginx/error.log"); err == nil && len(text) > 0 && (t.Failed() || testing.Verbose()) {
			t.Logf("nginx's errors:\n%s", text)
		}
	})
}

// credential returns the ids of a user.
func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// write writes a file, and makes its directory.
func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// read returns a file.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shell runs a script, and returns what it prints.
func shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-ec", script)
	cmd.Dir, cmd.Env = "/", append([]string{"HOME=/root"}, environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.TrimSpace(script), err, out)
	}
	return string(out)
}

// edit replaces texts in a file, all of which have to be there.
func edit(t *testing.T, path string, pairs ...string) {
	t.Helper()
	text := read(t, path)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Errorf("%s lacks %q", path, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
