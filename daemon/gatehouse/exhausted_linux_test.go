package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/client"
	"gatehouse/internal/testkit"
	"gatehouse/scgi"
)

// A gateway is the command, with its three protocols, in a process of its own.
type gateway struct {
	t       *testing.T
	dir     string // where it runs; programs are in its bin
	pid     int
	log     string            // the file
	address map[string]string // by protocol

	inherited int // descriptors of a kind that requests have, which it was started with
}

// launch starts the command by a shell script, which executes "$@". The configuration goes on
// behind the addresses; DIR in it is where it runs.
func launch(t *testing.T, script, config string, programs map[string]string) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gateway{t: t, dir: dir, log: dir + "/log"}
	write := func(name, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range programs {
		write(dir+"/bin/"+name, "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"+text, 0o755)
	}
	write(dir+"/files/page.txt", "page\n", 0o644)
	write(dir+"/gatehouse.toml", fmt.Sprintf("fastcgi = [\"unix:%[1]s/f\"]\nscgi = [\"unix:%[1]s/s\"]\nhttp = [\"127.0.0.1:0\"]\n%[2]s"+
		"[[app]]\nprefix = \"/bin\"\nscripts = \"%[1]s/bin\"\n[[app]]\nprefix = \"/files\"\nfiles = \"%[1]s/files\"\n", dir, strings.ReplaceAll(config, "DIR", dir)), 0o644)
	cmd := exec.Command("/bin/sh", "-c", script, "sh", "gatehouse", "serve", "--config", "gatehouse.toml")
	cmd.Dir = dir
	log, err := os.Create(g.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log // no pipe: the descriptors of the process are counted
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.pid = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(g.logged())
		}
	})
	listeners := 3 + strings.Count("\n"+config, "\nadmin =") + strings.Count("\n"+config, "\nmetrics =")
	testkit.Until(t, "all listeners", func() bool {
		g.address = make(map[string]string)
		for _, l := range g.lines("listening") {
			g.address[l["protocol"].(string)] = l["address"].(string)
		}
		return len(g.address) == listeners
	})
	g.inherited = passing(g.descriptors())
	return g
}

func (g *gateway) logged() string {
	text, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// lines returns the lines of the log with a message.
func (g *gateway) lines(message string) (list []map[string]any) {
	for line := range strings.Lines(g.logged()) {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && strings.HasPrefix(l["msg"].(string), message) {
			list = append(list, l)
		}
	}
	return list
}

// descriptors returns what the descriptors of the gateway are, by their numbers.
func (g *gateway) descriptors() map[int]string {
	dir := fmt.Sprintf("/proc/%d/fd/", g.pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		g.t.Fatal(err)
	}
	found := make(map[int]string)
	for _, e := range list {
		if to, err := os.Readlink(dir + e.Name()); err == nil {
			n, _ := strconv.Atoi(e.Name())
			found[n] = to
		}
	}
	return found
}

// sockets returns how many of them are sockets.
func (g *gateway) sockets() (n int) {
	for _, to := range g.descriptors() {
		if strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// leave lets the gateway open n more descriptors, once nothing is left of earlier requests.
func (g *gateway) leave(n int) {
	g.t.Helper()
	var used map[int]string
	testkit.Until(g.t, "rest after the last program", func() bool {
		used = g.descriptors()
		return passing(used) == g.inherited
	})
	limit := 0
	for ; used[limit] != "" || n > 0; limit++ {
		if used[limit] == "" {
			n--
		}
	}
	g.limit(limit)
}

// passing returns how many of the descriptors are of a kind that belongs to a request.
func passing(descriptors map[int]string) (n int) {
	for _, to := range descriptors {
		if strings.HasPrefix(to, "pipe:") || strings.Contains(to, "pidfd") || strings.HasSuffix(to, "(deleted)") {
			n++
		}
	}
	return n
}

func (g *gateway) limit(n int) {
	if err := unix.Prlimit(g.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: 4096}, nil); err != nil {
		g.t.Fatal(err)
	}
}

// A reply is a response.
type reply struct {
	code  int
	retry string // Retry-After
	body  string
}

// A peer is a web server that has a connection to the gateway.
type peer interface {
	// connect returns when the gateway has accepted the connection for the next request,
	// for which ask connects otherwise.
	connect()
	// ask sends a request, with a body of unknown length where the protocol has such.
	ask(path, body string) (reply, error)
}

// peers returns one for each protocol.
func (g *gateway) peers() map[string]peer {
	return map[string]peer{"fastcgi": &fastcgiPeer{g: g}, "scgi": &scgiPeer{g: g}, "http": &httpPeer{g: g}}
}

type fastcgiPeer struct {
	g *gateway
	c *client.Conn
}

func (p *fastcgiPeer) connect() {
	if p.c == nil {
		p.ask("/files/page.txt", "")
	}
}

func (p *fastcgiPeer) ask(path, body string) (reply, error) {
	if p.c == nil {
		p.c = client.New(p.g.dial("fastcgi"))
		p.g.t.Cleanup(func() { p.c.Close() })
	}
	r, err := p.c.Do(context.Background(), &client.Request{KeepConn: true, Params: maps.All(requestVariables(path, body)), Stdin: strings.NewReader(body)})
	if err != nil {
		return reply{}, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	got := reply{code: r.Head.Code, body: string(text)}
	for _, f := range r.Head.Fields {
		if f.Name == "Retry-After" {
			got.retry = f.Value
		}
	}
	return got, err
}

func requestVariables(path, body string) map[string]string {
	method := "GET"
	if body != "" {
		method = "POST"
	}
	return map[string]string{"REQUEST_METHOD": method, "REQUEST_URI": path, "SERVER_PROTOCOL": "HTTP/1.1"}
}

type scgiPeer struct {
	g       *gateway
	c       net.Conn
	sockets int // of the gateway, before it accepted the last connection
}

func (p *scgiPeer) connect() {
	if p.sockets > 0 {
		testkit.Until(p.g.t, "end of the last connection", func() bool { return p.g.sockets() <= p.sockets })
	}
	p.sockets = p.g.sockets()
	p.c = p.g.dial("scgi")
	testkit.Until(p.g.t, "accepting", func() bool { return p.g.sockets() > p.sockets })
}

func (p *scgiPeer) ask(path, body string) (reply, error) {
	head := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00", len(body))
	for name, value := range requestVariables(path, body) {
		head += name + "\x00" + value + "\x00"
	}
	if p.c == nil {
		p.c = p.g.dial("scgi")
	}
	defer func() {
		p.c.Close()
		p.c = nil
	}()
	if _, err := p.c.Write(append(scgi.AppendNetstring(nil, []byte(head)), body...)); err != nil {
		return reply{}, err
	}
	text, err := io.ReadAll(p.c)
	if err != nil {
		return reply{}, err
	}
	fields, rest, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	h := make(textproto.MIMEHeader)
	for line := range strings.SplitSeq(string(fields), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	code, err := strconv.Atoi(strings.Fields(h.Get("Status") + " 200")[0])
	return reply{code, h.Get("Retry-After"), string(rest)}, err
}

type httpPeer struct {
	g *gateway
	c *http.Client
}

// connect makes sure that there is a connection: a request in chunks ends its own.
func (p *httpPeer) connect() { p.ask("/files/page.txt", "") }

func (p *httpPeer) ask(path, body string) (reply, error) {
	if p.c == nil {
		t := &http.Transport{MaxConnsPerHost: 1}
		p.g.t.Cleanup(t.CloseIdleConnections)
		p.c = &http.Client{Transport: t}
	}
	url := "http://" + p.g.address["http"] + path
	var r *http.Response
	var err error
	if body == "" {
		r, err = p.c.Get(url)
	} else {
		r, err = p.c.Post(url, "text/plain", io.MultiReader(strings.NewReader(body))) // chunked
	}
	if err != nil {
		return reply{}, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return reply{r.StatusCode, r.Header.Get("Retry-After"), string(text)}, err
}

func (g *gateway) dial(protocol string) net.Conn {
	g.t.Helper()
	network, address := "tcp", g.address[protocol]
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.Dial(network, address)
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// checkUnavailable checks a 503, and that the last line of the log names the remedy.
func (g *gateway) checkUnavailable(r reply, remedy string) {
	g.t.Helper()
	if r.code != 503 || r.retry == "" {
		g.t.Errorf("%+v, want 503 with Retry-After; the log: %v", r, g.lines("request failed"))
	}
	testkit.Until(g.t, "a line of the log with "+remedy, func() bool {
		failed := g.lines("request failed")
		return len(failed) > 0 && strings.Contains(fmt.Sprint(failed[len(failed)-1]["error"]), remedy)
	})
}

// TestOutOfDescriptors takes away the descriptors that a request needs one by one: wherever
// they run out, the response is 503, and the log names the remedy.
func TestOutOfDescriptors(t *testing.T) {
	g := launch(t, `ulimit -n 4096; exec "$@"`, "spool_memory = \"4KiB\"\n", map[string]string{"program": "cat"})
	large := strings.Repeat("x", 64<<10)
	for name, p := range g.peers() {
		for _, x := range []struct{ path, body, want string }{
			{"/bin/program", "", ""}, {"/bin/program", large, large}, {"/files/page.txt", "", "page\n"},
		} {
			const enough = 12
			for n := range enough + 1 {
				p.connect()
				g.leave(n)
				r, err := p.ask(x.path, x.body)
				g.limit(4096)
				switch {
				case err != nil:
					t.Fatalf("%s, %s, %d descriptors: %v", name, x.path, n, err)
				case n == 0 || n < enough && r.code != 200:
					g.checkUnavailable(r, "LimitNOFILE= of its systemd unit (ulimit -n), or lower max_connections or programs")
				case r.code != 200 || r.body != x.want:
					t.Errorf("%s, %s, %d descriptors: %d, %d bytes", name, x.path, n, r.code, len(r.body))
				}
			}
		}
	}
}

// TestIdleConnectionsLeaveDescriptors: however many connections there are without a
// request, programs start, with the limit that gatehouse was started with.
func TestIdleConnectionsLeaveDescriptors(t *testing.T) {
	const idle = 600 // more than the limit
	g := launch(t, `ulimit -Sn 300; ulimit -Hn 512; exec "$@"`, "programs = 3\n", map[string]string{
		"program": "ulimit -Sn\necho $$ > running.$$\nwhile [ $(ls running.* | wc -l) -lt 3 ]; do sleep 0.02; done\n",
	})
	fit := g.lines("max_connections and programs do not fit into RLIMIT_NOFILE")
	if len(fit) != 1 || fit[0]["limit"] != 511. || fit[0]["connections_wanted"] != 30000. || fit[0]["program_descriptors"].(float64) < 30 {
		t.Fatalf("logged: %v", fit)
	}
	peers := g.peers()
	peers["scgi"].connect()
	var asked sync.WaitGroup
	ask := func(name string) {
		asked.Go(func() {
			if r, err := peers[name].ask("/bin/program", ""); err != nil || r.code != 200 || r.body != "300\n" {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		})
	}
	ask("scgi")
	for range idle {
		c := g.dial("scgi")
		defer c.Close()
	}
	most := int(fit[0]["connections"].(float64))
	testkit.Until(t, "as many connections as there may be", func() bool { return g.sockets() >= most })
	ask("fastcgi")
	ask("http")
	asked.Wait()
	if log := g.logged(); strings.Contains(log, "too many open files") {
		t.Error(log)
	}
}

// TestIdleConnectionMakesRoom: the one connection that a listener may have is closed for a
// new one, if it is idle.
func TestIdleConnectionMakesRoom(t *testing.T) {
	g := launch(t, `exec "$@"`, "max_connections = 1\nidle = \"off\"\n", map[string]string{"program": "echo hello"})
	var asked sync.WaitGroup
	for name, p := range g.peers() {
		old := g.dial(name)
		defer old.Close()
		asked.Go(func() {
			if r, err := p.ask("/bin/program", ""); err != nil || r.code != 200 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			if n, err := old.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%s: the idle connection: %d, %v", name, n, err)
			}
		})
	}
	asked.Wait()
	if len(g.lines("idle connections are closed")) == 0 {
		t.Error("not logged")
	}
}

// TestSpoolDiskFull: a body that has no room on the disk is refused, and others go on.
func TestSpoolDiskFull(t *testing.T) {
	const room = 256 << 10
	g := launch(t, `mkdir disk; exec unshare -m /bin/sh -c 'mount -t tmpfs -o size=256k none disk && exec "$@"' sh "$@"`,
		"spool_memory = \"4KiB\"\nspool_dir = \"DIR/disk\"\n", map[string]string{"program": "cat"})
	for name, p := range g.peers() {
		for _, size := range []int{4 * room, room / 2, 0} {
			body := strings.Repeat("x", size)
			r, err := p.ask("/bin/program", body)
			if size > room && name != "scgi" { // which has no bodies of unknown length
				g.checkUnavailable(r, "no space left on device (spool_dir): make room there")
			} else if err != nil || r.code != 200 || r.body != body {
				t.Errorf("%s, %d bytes: %d, %d bytes, %v", name, size, r.code, len(r.body), err)
			}
		}
	}
}
