//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"time"

	"gatehouse/fastcgi/record"
)

// blockLen is how many bytes an application writes, and reads, at a time.
const blockLen = 64 << 10

// block returns the block that large responses repeat. Its bytes depend on their offsets.
func block() []byte {
	b := make([]byte, blockLen)
	for i := range b {
		b[i] = byte(i ^ i>>8*7)
	}
	return b
}

// A fetching load requests large responses, one after the other.
type fetching struct {
	size     int
	filename string // of a program that writes them
	http     bool   // HTTP instead of FastCGI
	each     bool   // on a connection each, instead of one for all
}

func (fetching) figures() []string { return []string{"MB/s"} }

func (a fetching) measure(r *running, length time.Duration) ([]float64, error) {
	c, err := dial(r.socket)
	if err != nil {
		return nil, err
	}
	defer func() { c.Close() }()
	q := forSize(a.filename, a.size)
	q.keep, q.http, q.browser = !a.each, a.http, a.http
	request := q.bytes()
	d := newDownload(c, a.size)
	d.http = a.http
	used := false
	return transfers(r, a.size, length, func() (err error) {
		if a.each && used {
			c.Close()
			if c, err = dial(r.socket); err != nil {
				return err
			}
			d.c = c
		}
		used = true
		if _, err := c.Write(request); err != nil {
			return err
		}
		err = d.read()
		d.all = false // only the first, which does not count, is compared as a whole
		return err
	})
}

func dial(socket string) (blocking, error) {
	fd, err := connect(socket, true)
	return blocking(fd), err
}

// transfers measures transfers of one size, one after the other. The first does not
// count.
func transfers(r *running, size int, length time.Duration, once func() error) ([]float64, error) {
	if err := once(); err != nil {
		return nil, err
	}
	if err := r.startMeasuring(); err != nil {
		return nil, err
	}
	n := 0
	for until := time.Now().Add(length); n == 0 || time.Now().Before(until); n++ {
		if err := once(); err != nil {
			return nil, err
		}
	}
	elapsed, err := r.stopMeasuring(n)
	return []float64{float64(n) * float64(size) / 1e6 / elapsed.Seconds()}, err
}

// A download reads large responses. It checks the framing and the length of each, which HTTP
// has in Content-Length. It compares all bytes of the content or, to cost less than what is measured, the first
// ones of each read.
type download struct {
	c       blocking
	size    int
	http    bool   // HTTP instead of FastCGI
	pattern []byte // the block, twice
	buf     []byte
	all     bool

	head    []byte // the header, until it ends
	inBody  bool
	got     int // bytes of the body
	content int // bytes of the record still to be read, as is padding
	padding int
}

// newDownload returns a download of responses of size bytes, all of which are compared.
func newDownload(c blocking, size int) *download {
	return &download{c: c, size: size, pattern: append(block(), block()...), buf: make([]byte, 256<<10), all: true}
}

// reset prepares for the next response.
func (d *download) reset() {
	d.head, d.inBody, d.got, d.content, d.padding = d.head[:0], false, 0, 0, 0
}

func (d *download) read() error {
	d.reset()
	kept := 0
	for {
		n, err := d.c.Read(d.buf[kept:])
		if err != nil {
			return fmt.Errorf("after %d bytes of a response: %w", d.got, err)
		}
		rest, done, err := d.consume(d.buf[:kept+n])
		if done || err != nil {
			return err
		}
		kept = copy(d.buf, rest)
	}
}

// consume parses what was read, and returns the rest, which is incomplete.
func (d *download) consume(b []byte) (rest []byte, done bool, err error) {
	if d.http {
		return d.consumeHTTP(b)
	}
	for {
		n := min(d.content, len(b))
		if err := d.checkContent(b[:n]); err != nil {
			return nil, false, err
		}
		d.content -= n
		b = b[n:]
		n = min(d.padding, len(b))
		d.padding -= n
		b = b[n:]
		if len(b) < record.HeaderLen {
			return b, false, nil
		}
		h := record.Header(b)
		if h.Version() != record.Version1 || h.ID() != 1 {
			return nil, false, fmt.Errorf("a record of version %d for id %d", h.Version(), h.ID())
		}
		switch h.Type() {
		case record.Stdout:
		case record.EndRequest:
			end := record.HeaderLen + h.ContentLength()
			if len(b) < end+h.PaddingLength() {
				return b, false, nil
			}
			if d.got != d.size || len(b) > end+h.PaddingLength() {
				return nil, false, fmt.Errorf("a response of %d bytes, not %d", d.got, d.size)
			}
			return nil, true, checkEnd(b[record.HeaderLen:end])
		default:
			return nil, false, fmt.Errorf("a record of %v in a response", h.Type())
		}
		d.content, d.padding = h.ContentLength(), h.PaddingLength()
		b = b[record.HeaderLen:]
	}
}

// consumeHTTP is consume for HTTP, where only the head has to be parsed.
func (d *download) consumeHTTP(b []byte) (rest []byte, done bool, err error) {
	begun := d.inBody
	if err := d.checkContent(b); err != nil || !d.inBody {
		return nil, false, err
	}
	if !begun {
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(d.head)), nil)
		if err != nil {
			return nil, false, err
		}
		if response.StatusCode != http.StatusOK || response.ContentLength != int64(d.size) {
			return nil, false, fmt.Errorf("a response %s of %d bytes, not %d", response.Status, response.ContentLength, d.size)
		}
	}
	if d.got > d.size {
		return nil, false, fmt.Errorf("a response of %d bytes, not %d", d.got, d.size)
	}
	return nil, d.got == d.size, nil
}

// checkContent compares content with what is expected.
func (d *download) checkContent(b []byte) error {
	if !d.inBody && len(b) > 0 {
		had := len(d.head)
		d.head = append(d.head, b[:min(len(b), 4096)]...)
		n := headLen(d.head)
		if n == 0 {
			if len(d.head) > 4096 {
				return fmt.Errorf("the response has no header but %.200q", d.head)
			}
			return nil
		}
		d.inBody = true
		b = b[n-had:]
	}
	for len(b) > 0 {
		at := d.got % blockLen
		n := min(len(b), blockLen)
		look := n
		if !d.all {
			look = min(n, 64)
		}
		if !bytes.Equal(b[:look], d.pattern[at:at+look]) {
			return fmt.Errorf("the response differs in the %d bytes from %d", look, d.got)
		}
		d.got += n
		b = b[n:]
	}
	return nil
}

// A posting load sends large bodies on one connection, one after the other. Each
// response is the number of bytes.
type posting struct {
	size     int
	filename string // of a program that reads them
}

func (posting) figures() []string { return []string{"MB/s"} }

func (p posting) measure(r *running, length time.Duration) ([]float64, error) {
	c, err := dial(r.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	upload := newUpload(p.size, p.filename)
	want := response{body: fmt.Sprintln(p.size)}
	buf := make([]byte, 4096)
	return transfers(r, p.size, length, func() error {
		if err := upload.write(c); err != nil {
			return err
		}
		return want.read(c, buf)
	})
}

// An upload is a request with a large body, in records of 32 KiB as nginx sends them.
type upload struct {
	head, records []byte
	repeat        int
	last          []byte
}

func newUpload(size int, filename string) upload {
	const content, together = 32 << 10, 8
	u := upload{head: request{keep: true, filename: filename, body: size}.head()}
	full := record.AppendRecord(nil, record.Stdin, 1, block()[:content])
	u.records = bytes.Repeat(full, together)
	u.repeat = size / (content * together)
	size %= content * together
	u.last = bytes.Repeat(full, size/content)
	if n := size % content; n > 0 {
		u.last = record.AppendRecord(u.last, record.Stdin, 1, block()[:n])
	}
	u.last = record.AppendRecord(u.last, record.Stdin, 1, nil)
	return u
}

func (u upload) write(c blocking) error {
	if _, err := c.Write(u.head); err != nil {
		return err
	}
	for range u.repeat {
		if _, err := c.Write(u.records); err != nil {
			return err
		}
	}
	_, err := c.Write(u.last)
	return err
}
