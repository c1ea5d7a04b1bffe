package deploy_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestClaimedUser: no file here passes a name on to CGI programs that only the client
// vouches for.
func TestClaimedUser(t *testing.T) {
	writeProgram(t, "/usr/lib/cgi-bin/whoami", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n<%s>' \"$REMOTE_USER\"\n", 0o755)
	t.Cleanup(func() { os.Remove("/usr/lib/cgi-bin/whoami") })
	startGateway(t)
	through(t, programFronts, func(t *testing.T, _ front) {
		if got := getAs(t, "/cgi-bin/whoami", "anyone", "x"); got.status != http.StatusOK || got.body != "<>" {
			t.Errorf("status %d, the user is %q", got.status, got.body)
		}
	})
}

// TestFcgiwrapClaimedUser: behind fcgiwrap, and the gateway in its place, the files for git
// let nobody push whom no password makes a user. The gateway lets nobody either where nginx
// sends a claimed name and another value.
func TestFcgiwrapClaimedUser(t *testing.T) {
	p := newProjectOf(t, 1000)
	repository := p.publish(t)
	git(t, repository, "config", "--unset", "http.receivepack")
	link := filepath.Join(workspace, "fcgiwrap")
	if err := os.Symlink("gatehouse", link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(link) })
	for _, c := range []struct {
		name, program, file string
		prefixes            []string
	}{
		{"fcgiwrap, git.conf", fcgiwrapPath, "nginx/git.conf", []string{""}},
		{"fcgiwrap, git-unbuffered.conf", fcgiwrapPath, "nginx/git-unbuffered.conf", []string{""}},
		{"gatehouse, git.conf", link, "nginx/git.conf", []string{""}},
		{"gatehouse, git-unbuffered.conf", link, "nginx/git-unbuffered.conf", []string{""}},
		{"gatehouse, sent twice", link, "testdata/claim/nginx.conf", []string{"", "/before"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			startFcgiwrap(t, c.program)
			startNginx(t, c.file)
			for _, prefix := range c.prefixes {
				path := prefix + "/git/project.git"
				if got := getAs(t, path+"/info/refs?service=git-upload-pack", "anyone", "x"); got.status != http.StatusOK {
					t.Fatalf("%s: anyone may not read: status %d\n%s", path, got.status, got.body)
				}
				if got := getAs(t, path+"/info/refs?service=git-receive-pack", "anyone", "x"); got.status != http.StatusForbidden {
					t.Errorf("%s: anyone may push: status %d", path, got.status)
				}
				url := strings.Replace(projectURL, "/git/", prefix+"/git/", 1)
				if out, _, err := p.tryPush(t, strings.Replace(url, "//", "//anyone:x@", 1), chunked); err == nil {
					t.Errorf("%s: anyone may push\n%s", path, out)
				}
				if got := git(t, repository, "rev-parse", "main"); got != p.old {
					t.Fatalf("main is %s after a push by anyone", got)
				}
			}
		})
	}
}

// getAs gets a path with a name and a password.
func getAs(t *testing.T, path, user, password string) page {
	t.Helper()
	request, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, password)
	return get(t, request)
}

// startFcgiwrap starts fcgiwrap, or what has its name, as the web servers' user, at the
// socket that the files for git name.
func startFcgiwrap(t *testing.T, program string) {
	t.Helper()
	const socket = "/run/gatehouse/git.sock"
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	user := webUser(t)
	f := listenAsWebUser(t, socket)
	cmd := exec.Command(program, "-f")
	cmd.Stdin, cmd.Dir = f, "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	startServer(t, filepath.Base(program), cmd, nil, socket)
}

// listenAsWebUser returns a listening socket of the web server's user, to be passed to a program
// as systemd does.
func listenAsWebUser(t *testing.T, socket string) *os.File {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { os.Remove(socket) })
	user := webUser(t)
	if err := os.Chown(socket, int(user.Uid), int(user.Gid)); err != nil {
		t.Fatal(err)
	}
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
