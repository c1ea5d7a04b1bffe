package deploy_test

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"gatehouse/fastcgi/record"
)

// A sight is a record that a tap has seen.
type sight struct {
	conn   int // the connections are numbered as they come
	answer bool
	typ    record.Type
	id     uint16
	length int // of its content
}

// A tap listens in place of an application, passes all on to it and back, and keeps
// account of the records.
type tap struct {
	mu     sync.Mutex
	sights []sight
	conns  int
}

// startTap listens at one address, in front of another, until the test ends.
func startTap(t *testing.T, address, behind string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	w := new(tap)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			back, err := net.Dial("tcp", behind)
			if err != nil {
				t.Error(err)
				front.Close()
				return
			}
			w.mu.Lock()
			w.conns++
			conn := w.conns
			w.mu.Unlock()
			running.Go(func() { w.pass(front, back, sight{conn: conn}) })
			running.Go(func() { w.pass(back, front, sight{conn: conn, answer: true}) })
		}
	})
	// Its servers and clients have ended by then.
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return w
}

// pass copies one direction of a connection, and closes both at its end.
func (w *tap) pass(from, to net.Conn, s sight) {
	defer to.Close()
	defer from.Close()
	for r := record.NewReader(io.TeeReader(from, to)); ; {
		h, content, err := r.Next()
		if err != nil {
			return
		}
		s.typ, s.id, s.length = h.Type(), h.ID(), len(content)
		w.mu.Lock()
		w.sights = append(w.sights, s)
		w.mu.Unlock()
	}
}

// seen returns the records so far.
func (w *tap) seen() []sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sights)
}
