package scale_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/testkit"
)

// An outcome is what became of a request.
type outcome struct {
	id      string
	first   bool   // on its connection
	gateway string // by its response
	status  int    // 0 if there was none
	err     error  // no response, or one that was cut off
	wrong   string // a response of status 200 that is whole and not what the program wrote
}

func (o outcome) ok() bool { return o.status == http.StatusOK && o.err == nil && o.wrong == "" }

func (o outcome) String() string {
	return fmt.Sprintf("%s: status %d, error %v%s", o.id, o.status, o.err, o.wrong)
}

// A client has one connection, which it keeps where it can. Unlike that of net/http it never
// sends a request again.
type client struct {
	conn net.Conn // nil for none
	r    *bufio.Reader
	used bool // there has been a response on the connection
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	*c = client{}
}

// ask sends a request to a program, through the web server.
func (c *client) ask(program, id, body string) (o outcome) {
	o = outcome{id: id, first: !c.used}
	defer func() {
		if o.err != nil {
			c.close()
		}
	}()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, "http://"+front+"/"+program+"?"+id, strings.NewReader(body))
	if err != nil {
		o.err = err
		return o
	}
	if c.conn == nil {
		if c.conn, o.err = net.Dial("tcp", front+":80"); o.err != nil {
			return o
		}
		c.r = bufio.NewReader(c.conn)
	}
	// To end a test that hangs.
	if o.err = c.conn.SetDeadline(time.Now().Add(testkit.Patience)); o.err != nil {
		return o
	}
	if o.err = request.Write(c.conn); o.err != nil {
		return o
	}
	response, err := http.ReadResponse(c.r, request)
	if err != nil {
		o.err = err
		return o
	}
	o.status, c.used = response.StatusCode, true
	content, err := io.ReadAll(response.Body)
	if response.Close {
		c.close()
	}
	if o.err = err; err != nil || o.status != http.StatusOK {
		return o
	}
	gateway, rest, _ := strings.Cut(string(content), " ")
	if o.gateway = gateway; rest != id+"\n" {
		o.wrong = fmt.Sprintf(", the text %q", content)
	}
	return o
}

// A load is clients that send one request after the other, a POST now and then.
type load struct {
	stop    chan struct{}
	clients sync.WaitGroup
	sent    atomic.Int64

	mu       sync.Mutex
	outcomes []outcome
}

// startLoad starts so many clients, each with connections of its own.
func startLoad(t *testing.T, clients int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for c := range clients {
		l.clients.Go(func() {
			var client client
			defer client.close()
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				body := ""
				if n%4 == 3 {
					body = strings.Repeat("x", 8000)
				}
				o := client.ask("quick", fmt.Sprintf("load.%d.%d", c, n), body)
				l.mu.Lock()
				l.outcomes = append(l.outcomes, o)
				l.mu.Unlock()
				l.sent.Add(1)
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

// more waits until that many more requests have ended.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	until := l.sent.Load() + n
	testkit.Until(t, "more load", func() bool { return l.sent.Load() >= until })
}

// by waits until that gateway has responded to a request that was sent from now on.
func (l *load) by(t *testing.T, h host) {
	t.Helper()
	l.mu.Lock()
	from := len(l.outcomes)
	l.mu.Unlock()
	testkit.Until(t, "a response of "+h.name, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for ; from < len(l.outcomes); from++ {
			if l.outcomes[from].gateway == h.name {
				return true
			}
		}
		return false
	})
}

// end ends the clients, and returns what became of all requests.
func (l *load) end() []outcome {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.clients.Wait()
	return l.outcomes
}

// failed returns the requests that failed.
func failed(outcomes []outcome) (list []outcome) {
	for _, o := range outcomes {
		if !o.ok() {
			list = append(list, o)
		}
	}
	return list
}

// A held request is on a gateway, and ends when the test lets it.
type held struct {
	id      string
	outcome chan outcome
}

// holdOn sends requests until so many are on a gateway, of which every other one has sent the
// beginning of its response. It returns all that it has sent, those on the gateway first.
func holdOn(t *testing.T, h host, n int) (there, elsewhere []held) {
	t.Helper()
	for i := 0; len(there) < n; i++ {
		kind := "whole"
		if len(there)%2 == 0 {
			kind = "streamed"
		}
		r := held{id: fmt.Sprintf("%s.%d", kind, i), outcome: make(chan outcome, 1)}
		go func() {
			var client client
			defer client.close()
			r.outcome <- client.ask("hold", r.id, "")
		}()
		begun := ""
		testkit.Until(t, "a program that is held", func() bool {
			for _, g := range gateways {
				if exists(state, r.id+"."+g.name) {
					begun = g.name
				}
			}
			return begun != ""
		})
		if begun == h.name {
			there = append(there, r)
		} else {
			elsewhere = append(elsewhere, r)
		}
	}
	return there, elsewhere
}

// release lets the programs end that are held on the gateways.
func release(t *testing.T, hosts ...host) {
	t.Helper()
	for _, h := range hosts {
		write(t, filepath.Join(state, "go."+h.name), "", 0o644)
	}
}

// received returns what became of held requests.
func received(t *testing.T, list []held) (outcomes []outcome) {
	t.Helper()
	for _, r := range list {
		outcomes = append(outcomes, testkit.Receive(t, "the end of "+r.id, r.outcome))
	}
	return outcomes
}

// onceEach fails the test if a request ran twice.
func onceEach(t *testing.T) {
	t.Helper()
	runs, err := os.ReadFile(filepath.Join(state, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	times := make(map[string]int)
	for _, id := range strings.Fields(string(runs)) {
		if times[id]++; times[id] == 2 {
			t.Errorf("the program of request %s ran twice", id)
		}
	}
}
