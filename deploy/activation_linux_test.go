package deploy_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// TestSocketActivation: systemd-socket-activate passes three sockets at once. The gateway
// serves each by its name, tells the service manager how it is, and ends when nobody needs
// it any more.
func TestSocketActivation(t *testing.T) {
	const httpAddress, scgiAddress = "127.0.0.1:8080", "127.0.0.1:4000"
	for name, flags := range map[string][]string{
		"by the names": nil,
		"by flags":     {"--http", "systemd:http", "--fastcgi", "systemd:fastcgi.site", "--scgi", "systemd:scgi"},
	} {
		t.Run(name, func(t *testing.T) {
			fastcgi := filepath.Join(t.TempDir(), "fastcgi")
			manager := testkit.NewServiceManager(t, "")
			args := []string{"-l", scgiAddress, "-l", fastcgi, "-l", httpAddress, "--fdname=scgi:fastcgi.site:http",
				"-E", "NOTIFY_SOCKET=" + manager.Path, "-E", "WATCHDOG_USEC=60000000",
				filepath.Join(workspace, "gatehouse"), "serve", "--app", "/=hello", "--idle-exit", "1s"}
			cmd := exec.Command("systemd-socket-activate", append(args, flags...)...)
			output, err := os.Create(filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer output.Close()
			cmd.Stdout, cmd.Stderr = output, output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			t.Cleanup(func() {
				if cmd.Process.Kill(); t.Failed() {
					log, _ := os.ReadFile(output.Name())
					t.Logf("log:\n%s", log)
				}
			})
			// It executes the gateway when the first connection has come, which stays queued.
			var response *http.Response
			testkit.Until(t, "the sockets", func() bool {
				response, err = http.Get("http://" + httpAddress + "/")
				return err == nil
			})
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) != "hello world\n" || err != nil {
				t.Errorf("http: %q, %v", body, err)
			}
			if r := (&question{path: "x"}).ask(fastcgi); r.end != whole || r.text != "hello world\n" {
				t.Errorf("fastcgi: %v", r)
			}
			if got, err := askSCGI(scgiAddress); !strings.HasSuffix(got, "hello world\n") || err != nil {
				t.Errorf("scgi: %q, %v", got, err)
			}
			want := []string{"READY=1", "WATCHDOG=1", "STOPPING=1"}
			for len(want) > 0 {
				got, _ := manager.Receive(t)
				switch {
				case got == want[0]:
					want = want[1:]
				case !strings.HasPrefix(got, "STATUS=") && got != "WATCHDOG=1":
					t.Fatalf("got %q; want %s", got, want[0])
				}
			}
			if err := testkit.Receive(t, "the end", ended); err != nil {
				t.Error(err)
			}
		})
	}
}

// askSCGI returns the response to a request.
func askSCGI(address string) (string, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	block := "CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00/\x00SCRIPT_NAME\x00/\x00"
	if _, err := c.Write(scgi.AppendNetstring(nil, []byte(block))); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// TestActivationErrors: a line that names the thing, and status 2.
func TestActivationErrors(t *testing.T) {
	gatehouse := filepath.Join(workspace, "gatehouse")
	for _, x := range []struct {
		script, want string
	}{
		{`exec "$0" serve --http 127.0.0.1:8080 --idle-exit 5m`, "nobody would serve 127.0.0.1:8080 after it"},
		{`exec "$0" serve --idle-exit 10ms`, "--idle-exit: idle exit after 10ms: it must be 1s or more"},
		{`exec "$0" serve --ready-fd 9`, "descriptor 9, to tell readiness on, is not open"},
		{`exec "$0" serve --ready-fd 1`, `--ready-fd: "1" is not the number of a descriptor, 3 or more`},
		{`NOTIFY_SOCKET=run/x exec "$0" serve`, `NOTIFY_SOCKET is "run/x"`},
		{`LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve 3</dev/null`, `descriptor 3 ("unknown")`},
	} {
		out, err := exec.Command("sh", "-c", x.script, gatehouse).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), x.want) || strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %v, %q; want status 2 and a line with %s", x.script, err, out, x.want)
		}
	}
}

// TestReadyFD: s6 reads a line feed when the gateway serves, and programs do not inherit the
// descriptor.
func TestReadyFD(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "fastcgi")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(filepath.Join(workspace, "gatehouse"), "serve", "--ready-fd", "3", "--fastcgi", "unix:"+socket, "--app", "/=hello")
	cmd.ExtraFiles = []*os.File{w}
	startServer(t, "gatehouse", cmd, nil)
	w.Close()
	if b, err := io.ReadAll(r); string(b) != "\n" || err != nil {
		t.Fatalf("read %q, %v", b, err)
	}
	if r := (&question{path: "x"}).ask(socket); r.end != whole {
		t.Errorf("ready, but: %v", r)
	}
}
