package deploy_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
)

// TestSlowcgi: the gateway under the name of slowcgi, in the foreground and in the
// background, opens its socket as root, and then has no other user and no other root
// directory than the flags say.
func TestSlowcgi(t *testing.T) {
	const root, socket = "/srv/chroot", "/run/slowcgi.sock"
	// The only program that needs nothing there is the gateway, which shows its variables.
	install(t, filepath.Join(workspace, "gatehouse"), root+"/cgi-bin/demo", 0o755)
	if err := os.MkdirAll(root+"/tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root+"/tmp", 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	program := filepath.Join(workspace, "slowcgi")
	if err := os.Symlink("gatehouse", program); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(program) })
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, append(args, "-p", root, "-u", "www-data", "-U", "www-data", "-s", socket, "-t", "30")...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "SECRET=1"}
		return cmd
	}
	t.Run("foreground", func(t *testing.T) {
		startServer(t, "slowcgi", command("-d", "-v"), nil, socket)
		checkSlowcgi(t, root, socket)
	})
	t.Run("background", func(t *testing.T) {
		if out, err := command().CombinedOutput(); err != nil || strings.Contains(string(out), "slowcgi:") {
			t.Fatalf("%v\n%s", err, out)
		}
		pid := checkSlowcgi(t, root, socket)
		if err := unix.Kill(pid, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		wantGone(t, "slowcgi", pid, time.Now().Add(patience), "Z")
	})
	t.Run("failure", func(t *testing.T) {
		cmd := command()
		cmd.Args = append(cmd.Args, "-s", "/nonexistent/socket")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "slowcgi: unix:/nonexistent/socket: directory /nonexistent does not exist") {
			t.Errorf("%v\n%s", err, out)
		}
		cmd = command()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: webUser(t)}
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "slowcgi: need root privileges") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// checkSlowcgi makes a request, and returns the process that answers.
func checkSlowcgi(t *testing.T, root, socket string) (pid int) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			t.Fatal(err)
		}
		pid = int(peer.Pid)
	})
	var params []byte
	for _, v := range []string{"SCRIPT_FILENAME=/missing", "SCRIPT_NAME=/cgi-bin/demo", "REQUEST_METHOD=GET", "GATEWAY_INTERFACE=CGI/1.1"} {
		name, value, _ := strings.Cut(v, "=")
		params = record.AppendPair(params, name, value)
	}
	if got := askLike(t, socket, params, ""); got["status"] != "404" || !strings.Contains(got["stderr"], "SCRIPT_FILENAME /missing: no such file") {
		t.Errorf("%q; want 404, and why", got)
	}
	params = params[:0]
	for _, v := range []string{"SCRIPT_FILENAME=/cgi-bin/demo", "SCRIPT_NAME=/x", "REQUEST_METHOD=GET", "GATEWAY_INTERFACE=CGI/1.1"} {
		name, value, _ := strings.Cut(v, "=")
		params = record.AppendPair(params, name, value)
	}
	got := askLike(t, socket, params, "")
	if got["status"] != "200" || !strings.Contains(got["body"], "SCRIPT_FILENAME = '/cgi-bin/demo'") || strings.Contains(got["body"], "SECRET") || strings.Contains(got["body"], "\nPATH = ") {
		t.Errorf("%q; want the variables of the request alone", got)
	}
	// It has answered, so it has become what it is to be.
	credential := webUser(t)
	if to, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); err != nil || to != root {
		t.Errorf("its root directory is %q, %v; want %s", to, err, root)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", credential.Uid),
		fmt.Sprintf("\nGid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", credential.Gid),
		fmt.Sprintf("\nGroups:\t%d \n", credential.Gid),
	} {
		if !strings.Contains(string(status), line) {
			t.Errorf("its status has no %q:\n%s", line, status)
		}
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != 0o660 || st.Uid != credential.Uid || st.Gid != credential.Gid {
		t.Errorf("the socket has mode %v, and belongs to %d:%d", info.Mode(), st.Uid, st.Gid)
	}
	return pid
}
