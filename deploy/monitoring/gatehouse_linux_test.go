package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gatehouse/daemon/admin"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const token = "0123456789abcdef"

// A gatehouse is one that runs, with programs in dir/bin.
type gatehouse struct {
	dir     string
	address map[string]string // by protocol
	log     output
	cmd     *exec.Cmd
}

// An output keeps what is written to it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start starts a gatehouse that runs these programs, by their names, with further keys in its
// configuration.
func start(t *testing.T, programs map[string]string, keys ...string) *gatehouse {
	t.Helper()
	g := &gatehouse{dir: t.TempDir(), address: make(map[string]string)}
	binary := filepath.Join(g.dir, "gatehouse")
	build := exec.Command("go", "build", "-o", binary, "gatehouse/daemon/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range programs {
		g.write(t, "bin/"+name, "#!/bin/sh\n"+text, 0o755)
	}
	g.write(t, "token", token+"\n", 0o600)
	listeners := 3
	for _, line := range keys {
		if strings.HasPrefix(line, "fastcgi = ") {
			listeners++
		}
	}
	g.configure(t, "", keys...)
	g.cmd = exec.Command(binary, "serve", "--config", filepath.Join(g.dir, "g.toml"))
	g.cmd.Stderr = &g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- g.cmd.Wait() }()
	t.Cleanup(func() {
		g.cmd.Process.Signal(syscall.SIGTERM)
		if err := testkit.Receive(t, "the end of gatehouse", ended); err != nil || t.Failed() {
			t.Errorf("%v\n%s", err, g.log.String())
		}
	})
	testkit.Until(t, "gatehouse listens", func() bool {
		for line := range strings.Lines(g.log.String()) {
			var l struct{ Msg, Protocol, Address string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "listening" {
				g.address[l.Protocol] = l.Address
			}
		}
		return len(g.address) == listeners
	})
	return g
}

// write writes a file in the directory of g.
func (g *gatehouse) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// configure writes the configuration: the programs at /cgi-bin, with further applications and
// keys.
func (g *gatehouse) configure(t *testing.T, apps string, keys ...string) {
	t.Helper()
	g.write(t, "g.toml", strings.Join(keys, "\n")+fmt.Sprintf(`
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
metrics = "127.0.0.1:0"
admin_token_file = "%[1]s/token"
[[app]]
prefix = "/cgi-bin"
scripts = "%[1]s/bin"
`, g.dir)+apps, 0o644)
}

// reload has g serve what configure has written.
func (g *gatehouse) reload(t *testing.T, apps string, keys ...string) {
	t.Helper()
	before := g.status(t).Reloads
	g.configure(t, apps, keys...)
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the reload", func() bool { return g.status(t).Reloads.Last.After(before.Last) })
	if got := g.status(t).Reloads; got.Failure != "" {
		t.Fatalf("the reload failed: %s", got.Failure)
	}
}

// get makes a request for a program, and returns the status.
func (g *gatehouse) get(path string) (status int, err error) {
	resp, err := http.Get("http://" + g.address["http"] + "/cgi-bin/" + path)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return resp.StatusCode, err
}

// command runs a command of gatehouse.
func (g *gatehouse) command(args ...string) (status int, err error) {
	cmd := exec.Command(filepath.Join(g.dir, "gatehouse"), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return cmd.ProcessState.ExitCode(), err
}

// status returns what g tells of itself.
func (g *gatehouse) status(t *testing.T) *admin.Status {
	t.Helper()
	s, err := (&admin.Client{Network: "tcp", Address: g.address["admin"]}).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// application returns the figures of an application.
func (g *gatehouse) application(t *testing.T, name string) admin.Application {
	t.Helper()
	list := g.status(t).Applications
	i := slices.IndexFunc(list, func(a admin.Application) bool { return a.Name == name })
	if i < 0 {
		t.Fatalf("there is no application %s", name)
	}
	return list[i]
}

// idOf returns the id of a request in flight.
func (g *gatehouse) idOf(t *testing.T, name string) (id string) {
	t.Helper()
	for _, r := range g.status(t).InFlight {
		if strings.HasSuffix(r.Target, name) {
			id = r.ID
		}
	}
	return id
}
