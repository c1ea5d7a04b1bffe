package deploy_test

import (
	"bytes"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	killsRequests = flag.Int("kills.requests", 3000, "how many requests TestRandomKills makes")
	killsSeed     = flag.Uint64("kills.seed", 0, "the seed of TestRandomKills; 0: a new one")
)

// A mayhem is many requests, whose programs and clients are killed at random.
type mayhem struct {
	t       *testing.T
	w       *traced
	nginx   *http.Client
	letters []byte
	kill    chan uint64 // which of the programs is to be killed

	killed, whole, broken, failed, late, left atomic.Int64
}

// grown is by how many bytes the gateway's resident memory may grow from the first
// tenth of the requests to the last.
const grown = 8 << 20

// TestRandomKills makes requests while programs are killed and clients leave, in the
// middle of answers and of bodies: what is said to be whole is, no more is broken than was
// killed, nothing is left, and the gateway's memory does not grow. make soak makes it
// 100,000 of them.
func TestRandomKills(t *testing.T) {
	seed := *killsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kills.seed %d", seed)
	installC(t, "testdata/kills/answers.c", "/usr/lib/cgi-bin/answers")
	startNginx(t, "nginx/fastcgi.conf")
	installRemover(t)
	m := &mayhem{
		t: t, nginx: httpClient(t), kill: make(chan uint64),
		letters: bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz"), 1<<20/26+1),
		w: startTraced(t, `
programs = 12
grace = "100ms"
first_byte = "20s"
spool_memory = "16KiB"
[[app]]
prefix = "/cgi-bin/late"
scripts = "/usr/lib/cgi-bin"
first_byte = "250ms"
`),
	}
	m.run(*killsRequests/10, seed, 0)
	before := m.w.resident(t)
	m.run(*killsRequests-*killsRequests/10, seed, 1)
	after := m.w.resident(t)
	t.Logf("%d programs were killed; %d answers whole, %d broken, %d pages of an error, %d of a limit, %d not waited for; memory %d KiB, then %d KiB",
		m.killed.Load(), m.whole.Load(), m.broken.Load(), m.failed.Load(), m.late.Load(), m.left.Load(), before>>10, after>>10)
	if hurt := m.broken.Load() + m.failed.Load(); hurt > m.killed.Load() || m.killed.Load() == 0 {
		t.Errorf("%d answers are broken or errors, of %d killed programs", hurt, m.killed.Load())
	}
	if after > before+grown {
		t.Errorf("the gateway has %d KiB after a tenth of the requests, and %d KiB in the end", before>>10, after>>10)
	}
	for _, g := range m.w.quit(t) {
		t.Errorf("a goroutine is left:\n%s", g)
	}
}

// run makes requests by many clients at once, and waits until nothing is left.
func (m *mayhem) run(requests int, seed, part uint64) {
	const clients = 16
	begun := time.Now()
	var killer, all sync.WaitGroup
	killer.Go(m.killPrograms)
	for i := range clients {
		random := rand.New(rand.NewPCG(seed, part<<32|uint64(i)))
		n := requests / clients
		if i < requests%clients {
			n++
		}
		all.Go(func() {
			for range n {
				if m.t.Failed() {
					return
				}
				m.request(random)
			}
		})
	}
	all.Wait()
	close(m.kill)
	killer.Wait()
	m.kill = make(chan uint64)
	m.w.await(m.t, "after the requests", func() []string { return m.w.traces(m.t, true) })
	m.t.Logf("%d requests in %v", requests, time.Since(begun).Round(time.Millisecond))
}

// modes are those of testdata/kills/answers.c, as often as they are to come.
var modes = strings.Fields("large large slow slow slow child child echo echo stderr")

// request makes one request.
func (m *mayhem) request(random *rand.Rand) {
	mode := modes[random.IntN(len(modes))]
	path := "answers"
	if random.IntN(200) == 0 {
		mode, path = "never", "late/answers"
	}
	size := random.IntN(1 << random.IntN(17)) // small ones mostly
	if random.IntN(50) == 0 {
		size = random.IntN(len(m.letters))
	}
	q := &question{path: path, query: fmt.Sprintf("%s:%d", mode, size)}
	want := crc32.ChecksumIEEE(m.letters[:size])
	if mode == "echo" {
		size = min(size, 48<<10) // all clients' go on the disk
		q.post, q.known = size, random.IntN(2) == 0
		want = crc32.ChecksumIEEE(bytes.Repeat([]byte("p"), size))
	}
	switch random.IntN(12) {
	case 0:
		at := int64(random.IntN(size + 1))
		q.arrived = func(n int64) bool { return n >= at }
	case 1:
		if mode == "echo" && size > 0 {
			q.cut = random.IntN(size)
		}
		q.sent = func() {}
	}
	victim := random.Uint64()
	if random.IntN(8) == 0 {
		m.kill <- victim
	}
	var r result
	if q.sent == nil && random.IntN(8) == 0 {
		r = q.askHTTP(m.t, m.nginx)
	} else {
		r = q.ask(tracedSocket)
	}
	switch {
	case r.end == left || q.sent != nil:
		m.left.Add(1)
	case r.end == broken:
		m.broken.Add(1)
	case r.status == http.StatusOK:
		m.whole.Add(1)
		if r.body != int64(size) || r.sum != want || mode == "never" {
			m.t.Errorf("%s: %v; want %d bytes", q.query, r, size)
		}
	case r.status == http.StatusBadGateway:
		m.failed.Add(1)
	case r.status == http.StatusGatewayTimeout && mode == "never":
		m.late.Add(1)
	default:
		m.t.Errorf("%s: %v", q.query, r)
	}
}

// killPrograms kills one of the gateway's programs whenever it is told to.
func (m *mayhem) killPrograms() {
	for n := range m.kill {
		if m.w.killProgram(m.t, n) {
			m.killed.Add(1)
		}
	}
}
