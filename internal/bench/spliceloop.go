//go:build linux

package main

import (
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
)

const (
	splicePipe = 256 << 10 // the size of the pipes
	sendBuffer = 512 << 10 // of the socket
)

// serveSplice is the least that a Go program can do with the bytes of a CGI program: it
// moves them between the pipes and the socket. One goroutine per connection does what a
// loop in C would do, and blocks in each call.
func serveSplice(l net.Listener, protocol, program string, size int) error {
	env := forSize(program, size).environment()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		f, err := c.(*net.UnixConn).File()
		c.Close()
		if err != nil {
			return err
		}
		go func() {
			defer f.Close()
			s := &splicing{c: blocking(f.Fd()), program: program, env: env, buf: make([]byte, 4096)}
			unix.SetsockoptInt(int(s.c), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
			if protocol == overSCGI {
				s.serveSCGI()
				return
			}
			for {
				if keep, err := s.exchange(); err != nil || !keep {
					return
				}
			}
		}()
	}
}

// A splicing is one connection of a bare splice loop.
type splicing struct {
	c       blocking
	program string
	env     []string
	buf     []byte
}

// exchange starts a program at the first STDIN of a request, passes the body and then
// the output on, and returns whether to keep the connection.
func (s *splicing) exchange() (keep bool, err error) {
	var p *process
	defer func() {
		if p != nil {
			err = errors.Join(err, p.wait())
		}
	}()
	for ended := false; !ended; {
		h := record.Header(s.buf[:record.HeaderLen])
		if _, err := io.ReadFull(s.c, h); err != nil {
			return false, err
		}
		n, padding, stdin := h.ContentLength(), h.PaddingLength(), h.Type() == record.Stdin
		begin := h.Type() == record.BeginRequest
		if stdin && p == nil {
			if p, err = startProcess(s.program, s.env, 0, true, splicePipe); err != nil {
				return false, err
			}
		}
		switch {
		case stdin && n == 0:
			p.in.Close()
			ended = true
		case stdin:
			if err := move(s.c, p.in, n, 0); err != nil {
				return false, err
			}
			n = 0
		}
		b := s.buf[:n+padding]
		if _, err := io.ReadFull(s.c, b); err != nil {
			return false, err
		}
		if begin {
			keep = b[2]&record.KeepConn != 0
		}
	}
	err = s.pass(p.out, func(n int) []byte { return record.AppendHeader(s.buf[:0], record.Stdout, 1, n, 0) })
	if err == nil {
		end := record.AppendRecord(s.buf[:0], record.Stdout, 1, nil)
		_, err = s.c.Write(record.AppendEndRequest(end, 1, 0, record.RequestComplete))
	}
	return keep, err
}

// serveSCGI reads a request without a body, which fits into the buffer, and sends the
// output of a program.
func (s *splicing) serveSCGI() (err error) {
	for n := 0; n == 0 || s.buf[n-1] != ','; {
		m, err := s.c.Read(s.buf[n:])
		if err != nil {
			return err
		}
		n += m
	}
	p, err := startProcess(s.program, s.env, 0, true, splicePipe)
	if err != nil {
		return err
	}
	p.in.Close()
	return errors.Join(s.pass(p.out, nil), p.wait())
}

// pass moves the output of a pipe to the socket, until its end. The contents of the pipe
// become one record, after its header.
func (s *splicing) pass(pipe blocking, header func(n int) []byte) error {
	for {
		fds := []unix.PollFd{{Fd: int32(pipe), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		n, err := unix.IoctlGetInt(int(pipe), unix.TIOCINQ)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil // it has been closed
		}
		for n > 0 {
			part := n
			if header != nil {
				part = min(n, record.MaxAligned)
				if _, err := s.c.Write(header(part)); err != nil {
					return err
				}
			}
			if n -= part; n > 0 {
				err = move(pipe, s.c, part, unix.SPLICE_F_MORE)
			} else {
				err = move(pipe, s.c, part, 0)
			}
			if err != nil {
				return err
			}
		}
	}
}

// move splices n bytes.
func move(from, to blocking, n, flags int) error {
	for n > 0 {
		m, err := unix.Splice(int(from), nil, int(to), nil, n, unix.SPLICE_F_MOVE|flags)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case m == 0:
			return io.ErrUnexpectedEOF
		default:
			n -= int(m)
		}
	}
	return nil
}
