package deploy_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/fault"
)

var (
	faultsTime  = flag.Duration("faults.time", 10*time.Second, "how long TestRandomFaults begins rounds")
	faultsSeed  = flag.Uint64("faults.seed", 0, "the seed of the first round of TestRandomFaults; 0: a new one")
	faultsKinds = flag.String("faults.kinds", "kill,disk,reload,descriptors,stderr,processes", "what happens to the gateway of TestRandomFaults")
)

// faultSockets are where the gateway of TestRandomFaults listens.
var faultSockets = map[fault.Protocol][][2]string{
	fault.FastCGI: {{"unix", tracedSocket}},
	fault.SCGI:    {{"unix", "/run/gatehouse/scgi.sock"}, {"tcp", "127.0.0.1:4000"}},
	fault.HTTP:    {{"unix", "/run/gatehouse/http.sock"}, {"tcp", "127.0.0.1:8080"}},
}

// A siege is many peers at once, of which some stop, before a gateway that runs out of
// something now and then.
type siege struct {
	t       *testing.T
	w       *traced
	letters []byte
	happens chan uint64 // something happens to the gateway: what, the number says

	whole, refused, broken, stopped atomic.Int64
	happened                        map[string]int
}

// TestRandomFaults makes requests over all protocols, in rounds, while peers stop anywhere
// and things happen to the gateway. What is said to be whole is; a request that fails does
// so with a status for what has happened; after each round nothing is left, and every
// protocol serves again. make soak has an hour of it.
func TestRandomFaults(t *testing.T) {
	installC(t, "testdata/kills/answers.c", "/usr/lib/cgi-bin/answers")
	installRemover(t)
	s := &siege{
		t: t, happened: make(map[string]int),
		letters: bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz"), 1<<18/26+1),
		w: startTracedOn(t, `
scgi = ["unix:/run/gatehouse/scgi.sock", "127.0.0.1:4000"]
http = ["unix:/run/gatehouse/http.sock", "127.0.0.1:8080"]
programs = 8
grace = "100ms"
spool_memory = "16KiB"
idle = "2s"
body_read = "2s"
write = "2s"
queue_wait = "30s"
`, 5, true),
	}
	seed := *faultsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	defer func() {
		if t.Failed() {
			t.Logf("repeat this round with -faults.seed %d -faults.kinds %s", seed, *faultsKinds)
		}
	}()
	var early int64
	begun, rounds := time.Now(), 0
	for ; rounds == 0 || time.Since(begun) < *faultsTime; rounds++ {
		if s.round(seed); t.Failed() {
			return
		}
		if rounds == 2 {
			early = s.w.resident(t)
		}
		seed = rand.New(rand.NewPCG(seed, 0)).Uint64()
	}
	late := s.w.resident(t)
	t.Logf("%d rounds, with %v: %d responses whole, %d refused, %d broken, %d peers that stopped; memory %d KiB, then %d KiB",
		rounds, s.happened, s.whole.Load(), s.refused.Load(), s.broken.Load(), s.stopped.Load(), early>>10, late>>10)
	if early > 0 && late > early+grown {
		t.Errorf("the gateway has %d KiB after three rounds, and %d KiB in the end", early>>10, late>>10)
	}
	for _, g := range s.w.quit(t) {
		t.Errorf("a goroutine is left:\n%s", g)
	}
}

// round makes requests by many peers at once, lifts all faults, and looks at what is left.
func (s *siege) round(seed uint64) {
	const peers, each = 12, 25
	s.happens = make(chan uint64)
	var happening, all sync.WaitGroup
	happening.Go(s.happen)
	for i := range peers {
		random := rand.New(rand.NewPCG(seed, uint64(i+1)))
		all.Go(func() {
			for range each {
				if random.IntN(10) == 0 {
					s.happens <- random.Uint64()
				}
				s.request(random)
			}
		})
	}
	all.Wait()
	close(s.happens)
	happening.Wait()
	s.w.await(s.t, "after a round", func() []string { return s.w.traces(s.t, true) })
	for p, sockets := range faultSockets {
		message, _ := p.Encode(fault.Request{Path: "/cgi-bin/answers", Query: "large:1000"})
		for _, socket := range sockets {
			var r fault.Response
			for deadline := time.Now().Add(patience); r.Status != 200 && time.Now().Before(deadline); {
				r = s.run(p, socket, fault.Stop{Sent: len(message), Way: fault.Stall}, message)
			}
			if r.Outcome != fault.Whole || r.Status != 200 || !bytes.Equal(r.Body, s.letters[:1000]) {
				s.t.Errorf("after a round, %s on %s: %v", p, socket[1], r)
			}
		}
	}
	s.w.await(s.t, "after the requests behind a round", func() []string { return s.w.traces(s.t, true) })
}

// request is one peer.
func (s *siege) request(random *rand.Rand) {
	mode := modes[random.IntN(len(modes))]
	size := random.IntN(1 << random.IntN(18))
	p := fault.Protocols()[random.IntN(3)]
	socket := faultSockets[p][random.IntN(len(faultSockets[p]))]
	q := fault.Request{Path: "/cgi-bin/answers", Query: fmt.Sprintf("%s:%d", mode, size)}
	want := s.letters[:size]
	if mode == "echo" {
		q.Body, q.Unannounced = want, p != fault.SCGI && random.IntN(2) == 0
	}
	message, needed := p.Encode(q)
	stop := fault.Stop{Sent: len(message), Way: fault.Stall}
	switch random.IntN(6) {
	case 0: // in its request, mostly near the end of the head
		stop.Sent = random.IntN(1 + random.IntN(len(message)))
		stop.Way = fault.Ways()[random.IntN(4)]
	case 1: // in the response
		stop.Taken = random.IntN(1 + size)
		stop.Way = fault.Ways()[random.IntN(4)]
		pause := time.Duration(random.IntN(50)) * time.Millisecond
		if random.IntN(20) == 0 {
			pause = 3 * time.Second // beyond the limits
		}
		stop.Wait = func() { time.Sleep(pause) }
	}
	r := s.run(p, socket, stop, message)
	// A peer that has closed the connection has seen no end; the others have.
	ended := stop.Way == fault.Stall || stop.Way == fault.HalfClose
	wrong := ""
	switch {
	case r.Status == 200 && stop.Sent < needed:
		wrong = "that is no whole request"
	case r.Status == 200 && r.Outcome == fault.Whole && ended && !bytes.Equal(r.Body, want):
		wrong = fmt.Sprintf("want %d bytes with CRC %08x, not %08x", size, crc32.ChecksumIEEE(want), crc32.ChecksumIEEE(r.Body))
	case r.Status == 200 && !bytes.HasPrefix(want, r.Body):
		wrong = "want a part of the response"
	case stop.Sent < len(message) || stop.Way != fault.Stall || stop.Wait != nil:
		s.stopped.Add(1)
		if r.Status != 0 && !slices.Contains([]int{200, 400, 408, 502, 503, 504}, r.Status) {
			wrong = "want another status"
		}
	case r.Outcome != fault.Whole:
		s.broken.Add(1)
	case r.Status == 200:
		s.whole.Add(1)
	case slices.Contains([]int{408, 502, 503, 504}, r.Status):
		s.refused.Add(1)
	default:
		wrong = "want 200, or that a limit or a fault was met"
	}
	if wrong != "" {
		s.t.Errorf("%s on %s, %s, %s after %d of %d bytes and %d of the response: %v; %s",
			p, socket[1], q.Query, stop.Way, stop.Sent, len(message), stop.Taken, r, wrong)
	}
}

// run runs one peer at a socket.
func (s *siege) run(p fault.Protocol, socket [2]string, stop fault.Stop, message []byte) fault.Response {
	c, err := net.Dial(socket[0], socket[1])
	if err != nil {
		s.t.Error(err)
		return fault.Response{}
	}
	c.SetDeadline(time.Now().Add(patience))
	return p.Response(stop.Run(c, message))
}

// happen lets things happen to the gateway when it is told to. What lasts ends when it comes
// again, and at the end of the round.
func (s *siege) happen() {
	defer func() {
		for range s.happens { // a fatal error must not keep the peers waiting
		}
	}()
	kinds := strings.Split(*faultsKinds, ",")
	lasting := make(map[string]func() error)
	for n := range s.happens {
		kind := kinds[n%uint64(len(kinds))]
		s.happened[kind]++
		if end := lasting[kind]; end != nil {
			delete(lasting, kind)
			if err := end(); err != nil {
				s.t.Error(kind, err)
			}
			continue
		}
		end, err := s.begin(kind, n/uint64(len(kinds)))
		if err != nil {
			s.t.Error(kind, err)
		}
		if end != nil {
			lasting[kind] = end
		}
	}
	for kind, end := range lasting {
		if err := end(); err != nil {
			s.t.Error(kind, err)
		}
	}
}

// begin begins something, of which n says more, and returns what ends it if it lasts.
func (s *siege) begin(kind string, n uint64) (end func() error, err error) {
	pid := s.w.cmd.Process.Pid
	switch kind {
	case "kill":
		s.w.killProgram(s.t, n)
		return nil, nil
	case "reload":
		return nil, s.w.cmd.Process.Signal(syscall.SIGHUP)
	case "disk":
		return fillDisk(filepath.Join(tracedDir, "files", "full"))
	case "stderr":
		s.w.stderr.Block()
		return func() error { s.w.stderr.Unblock(); return nil }, nil
	case "descriptors":
		return fault.Squeeze(pid, "nofile", uint64(len(s.w.descriptors(s.t)))+n%10)
	case "processes":
		return fault.Squeeze(pid, "nproc", n%30)
	}
	return nil, fmt.Errorf("no fault is called %q", kind)
}

// fillDisk fills the disk that a file is on, until the function that it returns is called.
func fillDisk(path string) (end func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4<<10))
	}
	if !errors.Is(err, unix.ENOSPC) {
		return nil, err
	}
	return func() error { return os.Remove(path) }, nil
}
