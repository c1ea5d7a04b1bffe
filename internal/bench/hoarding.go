//go:build linux

package main

import (
	"bytes"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/daemon"
	"gatehouse/fastcgi/record"
)

// A hoarding load is an attack: connections that send the variables of many requests at the
// same time, never to their end, and begin anew where they are closed. It measures the
// side's largest resident set, and what is left of it after the attack. The side must be
// freshly started and a single process.
type hoarding struct {
	connections int
	requests    int           // of a connection
	size        int           // bytes of variables of each
	settle      time.Duration // how long what is left may take to become less
}

func (hoarding) figures() []string { return []string{"MB", "MB after"} }

// bound is what the gateway may hold under the load with the default limits, in MB. Nothing is
// spooled.
func (l hoarding) bound() float64 {
	limits := daemon.Limits{Front: cgi.Limits{Connections: l.connections}, SpoolMemoryTotal: 1}
	return math.Round(limits.MemoryBound(1, 0) / 1e6)
}

// littleMore is how much more than before the attack, in kB, is taken for all returned.
const littleMore = 16 << 10

func (l hoarding) measure(r *running, length time.Duration) ([]float64, error) {
	pid := r.commands[0].Process.Pid
	before, err := residentSet(pid)
	if err != nil {
		return nil, err
	}
	var sending, open sync.WaitGroup
	sent := make(chan struct{})
	for range l.connections {
		sending.Add(1)
		open.Go(func() { l.attack(r.socket, sending.Done, sent) })
	}
	sending.Wait()
	time.Sleep(length)
	close(sent)
	open.Wait()
	most, err := peakSet(pid)
	if err != nil {
		return nil, err
	}
	after := most
	for late := time.Now().Add(l.settle); after > before+littleMore && time.Now().Before(late); {
		time.Sleep(l.settle / 100)
		if after, err = residentSet(pid); err != nil {
			return nil, err
		}
	}
	return []float64{most * 1024 / 1e6, after * 1024 / 1e6}, nil
}

// attack sends requests, on another connection after one was closed, and keeps the last one
// open until all have been sent. The memory shows what came of it.
func (l hoarding) attack(socket string, done func(), sent <-chan struct{}) {
	var open []net.Conn
	defer func() {
		done()
		<-sent
		for _, c := range open {
			c.Close()
		}
	}()
	part := record.AppendStream(nil, record.Params, 1, []byte("\x01\x84\x00\x00\x00A"+strings.Repeat("x", l.size-6)))
	var c net.Conn
	for id := range uint16(l.requests) {
		if c == nil {
			var err error
			if c, err = net.Dial("unix", socket); err != nil {
				return
			}
			open = append(open, c)
			c.SetDeadline(time.Now().Add(patience))
		}
		request := record.AppendBegin(nil, id+1, record.Responder, record.KeepConn)
		if _, err := c.Write(append(request, withID(part, id+1)...)); err != nil {
			c.Close()
			c = nil
		}
	}
}

// withID returns a copy of records with another request id.
func withID(records []byte, id uint16) []byte {
	b := bytes.Clone(records)
	for rest := b; len(rest) > 0; {
		h := record.Header(rest)
		n := record.HeaderLen + h.ContentLength() + h.PaddingLength()
		record.PutHeader(rest, h.Type(), id, h.ContentLength(), h.PaddingLength())
		rest = rest[n:]
	}
	return b
}
