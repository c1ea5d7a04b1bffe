package monitoring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// start starts a gatehouse that runs these programs, by their names, with further lines of
// configuration above.
func start(t *testing.T, programs map[string]string, lines ...string) *gatehouse {
	t.Helper()
	g := &gatehouse{dir: t.TempDir(), address: make(map[string]string)}
	binary := filepath.Join(g.dir, "gatehouse")
	build := exec.Command("go", "build", "-o", binary, "gatehouse/daemon/gatehouse")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(g.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range programs {
		write("bin/"+name, "#!/bin/sh\n"+text, 0o755)
	}
	write("token", token+"\n", 0o600)
	write("g.toml", strings.Join(lines, "\n")+fmt.Sprintf(`
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
metrics = "127.0.0.1:0"
admin_token_file = "%[1]s/token"
[[app]]
prefix = "/cgi-bin"
scripts = "%[1]s/bin"
`, g.dir), 0o644)
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
		return len(g.address) == 3
	})
	return g
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

// idOf returns the id of a request in flight.
func (g *gatehouse) idOf(t *testing.T, name string) (id string) {
	t.Helper()
	resp, err := http.Get("http://" + g.address["admin"] + "/status.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s admin.Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.InFlight {
		if strings.HasSuffix(r.Target, name) {
			id = r.ID
		}
	}
	return id
}
