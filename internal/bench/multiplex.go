//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
)

// A multiplexed load has several requests in flight on one connection, on which it sends
// GET_VALUES first, as HAProxy does. When a request ends, its id immediately starts
// another. Everything caused by one read is sent in one write.
type multiplexed struct {
	requests int
}

func (multiplexed) figures() []string { return []string{"/s"} }

func (m multiplexed) measure(r *running, length time.Duration) ([]float64, error) {
	fd, err := connect(r.socket, true)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := askMultiplex(blocking(fd)); err != nil {
		return nil, err
	}
	// Sending and receiving at once needs a non-blocking socket.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	defer p.close()
	s := &shared{fd: fd, poller: p, response: response{body: helloText}, buf: make([]byte, 256<<10)}
	for i := range m.requests {
		s.requests = append(s.requests, request{keep: true, id: uint16(i + 1)}.bytes())
	}
	s.stdout = make([][]byte, m.requests)
	if err := p.watch(unix.EPOLL_CTL_ADD, fd, 0, unix.EPOLLIN); err != nil {
		return nil, err
	}
	if err := s.requestUntil(time.Time{}); err != nil { // nothing counts until each id has received a response
		return nil, err
	}
	s.count = 0
	if err := r.startMeasuring(); err != nil {
		return nil, err
	}
	if err := s.requestUntil(time.Now().Add(length)); err != nil {
		return nil, err
	}
	elapsed, err := r.stopMeasuring(s.count)
	return []float64{float64(s.count) / elapsed.Seconds()}, err
}

// askMultiplex asks GET_VALUES whether requests may share a connection.
func askMultiplex(c io.ReadWriter) error {
	var pairs []byte
	for _, name := range []string{"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"} {
		pairs = record.AppendPair(pairs, name, "")
	}
	if _, err := c.Write(record.AppendRecord(nil, record.GetValues, 0, pairs)); err != nil {
		return err
	}
	h, content, err := record.NewReader(c).Next()
	if err != nil {
		return err
	}
	if h.Type() != record.GetValuesResult {
		return fmt.Errorf("%v in reply to FCGI_GET_VALUES", h.Type())
	}
	values := make(map[string]string)
	for len(content) > 0 {
		var name, value []byte
		if name, value, content, err = record.NextPair(content); err != nil {
			return err
		}
		values[string(name)] = string(value)
	}
	if values["FCGI_MPXS_CONNS"] != "1" {
		return fmt.Errorf("no multiplexing: %v", values)
	}
	return nil
}

// shared is a connection that requests share.
type shared struct {
	fd       int
	poller   *poller
	requests [][]byte // by id, from 1
	stdout   [][]byte // by id, the response so far; nil without a request
	last     []byte   // the last STDOUT that was checked
	response response
	buf      []byte
	filled   int    // bytes in buf
	out      []byte // to send
	blocked  bool   // waiting for EPOLLOUT
	count    int
}

// requestUntil keeps a request in flight for each id until the given time, and returns
// when every request has a response.
func (s *shared) requestUntil(until time.Time) error {
	for i := range s.requests {
		s.queueRequest(i)
	}
	open := len(s.requests)
	for {
		if err := s.flush(); err != nil {
			return err
		}
		if open == 0 {
			return nil
		}
		events, err := s.poller.wait()
		if err != nil {
			return err
		}
		if events[0].Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			continue
		}
		n, err := recv(s.fd, s.buf[s.filled:])
		if err != nil {
			return fmt.Errorf("after %d responses: %w", s.count, err)
		}
		s.filled += n
		ended, err := s.consume(time.Now().Before(until))
		if err != nil {
			return err
		}
		open -= ended
	}
}

func (s *shared) queueRequest(i int) {
	s.stdout[i] = s.stdout[i][:0]
	if s.stdout[i] == nil {
		s.stdout[i] = make([]byte, 0, 512)
	}
	s.out = append(s.out, s.requests[i]...)
}

// flush sends as much as the socket accepts.
func (s *shared) flush() error {
	if len(s.out) > 0 {
		n, err := send(s.fd, s.out)
		if err != nil {
			return err
		}
		s.out = s.out[:copy(s.out, s.out[n:])]
	}
	if blocked := len(s.out) > 0; blocked != s.blocked {
		s.blocked = blocked
		events := uint32(unix.EPOLLIN)
		if blocked {
			events |= unix.EPOLLOUT
		}
		return s.poller.watch(unix.EPOLL_CTL_MOD, s.fd, 0, events)
	}
	return nil
}

// consume handles the records received, and returns how many ids are done. If more is
// true, each id starts another request instead.
func (s *shared) consume(more bool) (ended int, err error) {
	b := s.buf[:s.filled]
	for len(b) >= record.HeaderLen {
		h := record.Header(b)
		end := record.HeaderLen + h.ContentLength()
		if len(b) < end+h.PaddingLength() {
			break
		}
		i := int(h.ID()) - 1
		if h.Version() != record.Version1 || i < 0 || i >= len(s.stdout) || s.stdout[i] == nil {
			return ended, fmt.Errorf("a record of version %d for id %d", h.Version(), h.ID())
		}
		content := b[record.HeaderLen:end]
		b = b[end+h.PaddingLength():]
		switch h.Type() {
		case record.Stdout:
			s.stdout[i] = append(s.stdout[i], content...)
		case record.EndRequest:
			if err := s.checkResponse(i, content); err != nil {
				return ended, err
			}
			if more {
				s.queueRequest(i)
			} else {
				s.stdout[i] = nil
				ended++
			}
		default:
			return ended, fmt.Errorf("a record of %v in a response", h.Type())
		}
	}
	s.filled = copy(s.buf, b)
	return ended, nil
}

// checkResponse checks a complete response.
func (s *shared) checkResponse(i int, content []byte) error {
	if err := checkEnd(content); err != nil {
		return err
	}
	if string(s.stdout[i]) != string(s.last) {
		if err := s.response.check(s.stdout[i]); err != nil {
			return err
		}
		s.last = append(s.last[:0], s.stdout[i]...)
	}
	s.count++
	return nil
}
