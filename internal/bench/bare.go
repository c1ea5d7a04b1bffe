//go:build linux

package main

import (
	"fmt"
	"net"

	"gatehouse/fastcgi/record"
)

// serveBare is the least that a Go program can do: one goroutine per connection, one
// read and one write per request. It looks only at record headers, to find the end of
// the request, and always sends the same response.
func serveBare(l net.Listener, application string, size int) error {
	fixed := bareResponse(helloText)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			b := &bare{c: c, buf: make([]byte, 4096)}
			if application == reader {
				b.buf = make([]byte, blockLen)
			}
			for {
				keep, body, err := b.request()
				if err != nil {
					return
				}
				switch application {
				case sender:
					err = sendFrames(c, size)
				case reader:
					_, err = c.Write(bareResponse(fmt.Sprintln(body)))
				default:
					_, err = c.Write(fixed)
				}
				if err != nil || !keep {
					return
				}
			}
		}()
	}
}

const bareHead = "Content-Type: text/plain\r\n\r\n"

// bareResponse returns the records of a response.
func bareResponse(text string) []byte {
	b := record.AppendStream(nil, record.Stdout, 1, []byte(bareHead+text))
	b = record.AppendRecord(b, record.Stdout, 1, nil)
	return record.AppendEndRequest(b, 1, 0, record.RequestComplete)
}

// sendFrames writes a response of size bytes: a block at a time, in two records.
func sendFrames(c net.Conn, size int) error {
	if _, err := c.Write(record.AppendStream(nil, record.Stdout, 1, []byte(bareHead))); err != nil {
		return err
	}
	data := block()
	frames := record.AppendRecord(nil, record.Stdout, 1, data[:blockLen/2])
	frames = record.AppendRecord(frames, record.Stdout, 1, data[blockLen/2:])
	for range size / blockLen {
		if _, err := c.Write(frames); err != nil {
			return err
		}
	}
	last := record.AppendStream(nil, record.Stdout, 1, data[:size%blockLen])
	last = record.AppendRecord(last, record.Stdout, 1, nil)
	_, err := c.Write(record.AppendEndRequest(last, 1, 0, record.RequestComplete))
	return err
}

// A bare is one connection of a bare loop.
type bare struct {
	c          net.Conn
	buf        []byte
	start, end int // of the unparsed bytes in buf
}

// request reads to the end of a request, and returns whether to keep the connection and
// the length of the body.
func (b *bare) request() (keep bool, body int, err error) {
	for {
		const most = record.HeaderLen + 8 // a whole BEGIN_REQUEST
		h := record.Header(b.buf[b.start:b.end])
		if len(h) >= record.HeaderLen && (h.Type() != record.BeginRequest || len(h) >= most) {
			switch h.Type() {
			case record.BeginRequest:
				begin, err := record.ParseBegin(h[record.HeaderLen:])
				if err != nil {
					return false, 0, err
				}
				keep = begin.Flags&record.KeepConn != 0
			case record.Stdin:
				body += h.ContentLength()
			}
			last := h.Type() == record.Stdin && h.ContentLength() == 0
			if err := b.skip(record.HeaderLen + h.ContentLength() + h.PaddingLength()); err != nil {
				return false, 0, err
			}
			if last {
				return keep, body, nil
			}
			continue
		}
		b.start, b.end = 0, copy(b.buf, h)
		if err := b.read(); err != nil {
			return false, 0, err
		}
	}
}

func (b *bare) read() error {
	n, err := b.c.Read(b.buf[b.end:])
	b.end += n
	if n > 0 {
		return nil
	}
	return err
}

// skip discards n bytes, and reads as many as it needs.
func (b *bare) skip(n int) error {
	for n > b.end-b.start {
		n -= b.end - b.start
		b.start, b.end = 0, 0
		if err := b.read(); err != nil {
			return err
		}
	}
	b.start += n
	return nil
}
