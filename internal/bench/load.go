//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A load is a number of clients, each of which sends its next request when it has
// the response to the last. One goroutine runs them all.
type load struct {
	connections int
	request     request // with keep, on one connection for each client
	latency     bool    // also measure the response times
	queued      bool    // measure how evenly clients wait if only some are served at once
}

func (l load) figures() []string {
	switch {
	case l.queued:
		return []string{"p99/mean", "/s"}
	case l.latency:
		return []string{"/s", "p99 ms"}
	}
	return []string{"/s"}
}

// A client has one request in flight.
type client struct {
	fd   int
	rest []byte // of the request, not sent yet
	got  []byte // what was received of a partial response
	sent time.Time
}

// clients are the clients of a running load.
type clients struct {
	load
	socket   string
	poller   *poller
	request  []byte
	response response
	all      []client
	buf      []byte
	count    int             // responses
	least    int             // responses, however long they take
	took     []time.Duration // latencies, in the order of the responses
}

func (l load) measure(r *running, length time.Duration) ([]float64, error) {
	cs, err := l.open(r.socket)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if l.queued {
		cs.least = 3 * l.connections
	}
	if err := r.startMeasuring(); err != nil {
		return nil, err
	}
	if err := cs.requestUntil(time.Now().Add(length)); err != nil {
		return nil, err
	}
	elapsed, err := r.stopMeasuring(cs.count)
	if err != nil {
		return nil, err
	}
	rate := float64(cs.count) / elapsed.Seconds()
	switch {
	case l.queued:
		return []float64{unevenness(cs.took[l.connections:]), rate}, nil
	case l.latency:
		return []float64{rate, float64(p99(cs.took)) / float64(time.Millisecond)}, nil
	}
	return []float64{rate}, nil
}

// open connects the clients. Nothing counts until each has received a response.
func (l load) open(socket string) (*clients, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	cs := &clients{load: l, socket: socket, poller: p, request: l.request.bytes(), response: response{http: l.request.http, body: helloText}, buf: make([]byte, 64<<10)}
	for i := range l.connections {
		cs.all = append(cs.all, client{fd: -1})
		if err := cs.openClient(i); err != nil {
			cs.close()
			return nil, err
		}
	}
	if err := cs.requestUntil(time.Time{}); err != nil {
		cs.close()
		return nil, err
	}
	cs.count, cs.took = 0, nil
	return cs, nil
}

// p99 sorts latencies and returns their 99th percentile.
func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}

// unevenness returns the 99th percentile of latencies, divided by their mean.
func unevenness(took []time.Duration) float64 {
	var sum time.Duration
	for _, t := range took {
		sum += t
	}
	return float64(p99(took)) * float64(len(took)) / float64(sum)
}

func (cs *clients) close() {
	for _, c := range cs.all {
		if c.fd >= 0 {
			unix.Close(c.fd)
		}
	}
	cs.poller.close()
}

func (cs *clients) openClient(i int) error {
	fd, err := connect(cs.socket, false)
	if err != nil {
		return err
	}
	cs.all[i].fd = fd
	return cs.poller.watch(unix.EPOLL_CTL_ADD, fd, i, unix.EPOLLIN)
}

// requestUntil makes each client send one request after the other until the given time,
// and returns when every request has a response.
func (cs *clients) requestUntil(until time.Time) error {
	for i := range cs.all {
		if err := cs.send(i); err != nil {
			return err
		}
	}
	for open := len(cs.all); open > 0; {
		events, err := cs.poller.wait()
		if err != nil {
			return err
		}
		more := time.Now().Before(until) || cs.count < cs.least
		for _, e := range events {
			i := int(e.Fd)
			if len(cs.all[i].rest) > 0 {
				if err := cs.flush(i); err != nil {
					return err
				}
				continue
			}
			whole, err := cs.receive(i)
			if err != nil {
				return err
			}
			if !whole {
				continue
			}
			cs.count++
			if cs.latency || cs.queued {
				cs.took = append(cs.took, time.Since(cs.all[i].sent))
			}
			if !cs.load.request.keep {
				unix.Close(cs.all[i].fd)
				cs.all[i].fd = -1
			}
			if !more {
				open--
				continue
			}
			if err := cs.send(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// send starts to send a request.
func (cs *clients) send(i int) error {
	c := &cs.all[i]
	if c.fd < 0 {
		if err := cs.openClient(i); err != nil {
			return err
		}
	}
	if cs.latency || cs.queued {
		c.sent = time.Now()
	}
	n, err := send(c.fd, cs.request)
	if err != nil {
		return err
	}
	if n < len(cs.request) {
		c.rest = cs.request[n:]
		return cs.poller.watch(unix.EPOLL_CTL_MOD, c.fd, i, unix.EPOLLOUT)
	}
	return nil
}

// flush continues to send a request.
func (cs *clients) flush(i int) error {
	c := &cs.all[i]
	n, err := send(c.fd, c.rest)
	if err != nil {
		return err
	}
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		return cs.poller.watch(unix.EPOLL_CTL_MOD, c.fd, i, unix.EPOLLIN)
	}
	return nil
}

// receive reads once, and reports whether the response is complete.
func (cs *clients) receive(i int) (bool, error) {
	c := &cs.all[i]
	n, err := recv(c.fd, cs.buf)
	if err != nil {
		return false, fmt.Errorf("after %d responses: %w", cs.count, err)
	}
	b := cs.buf[:n]
	if len(c.got) > 0 {
		c.got = append(c.got, b...)
		b = c.got
	}
	whole, err := cs.response.complete(b)
	switch {
	case err != nil:
		return false, err
	case whole:
		c.got = c.got[:0]
	case len(c.got) == 0:
		c.got = append(c.got, b...)
	}
	return whole, nil
}
