//go:build linux

package main

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/fastcgi/record"
)

// wsgiSlow sends as many bytes as the query says, the number of bytes of a body, or helloText.
const wsgiSlow = `BLOCK = bytes((i ^ (i >> 8) * 7) & 255 for i in range(64 << 10))


def application(environ, start_response):
    size = environ["QUERY_STRING"].partition("size=")[2]
    if environ["REQUEST_METHOD"] == "POST":
        count = 0
        while True:
            part = environ["wsgi.input"].read(len(BLOCK))
            if not part:
                break
            count += len(part)
        body = [b"%d\n" % count]
    elif size:
        body = [BLOCK[:int(size) - at] for at in range(0, int(size), len(BLOCK))]
    else:
        body = [b"hello world\n"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(sum(map(len, body))))])
    return body
`

// A beside load is a fast client beside slow ones: half of them send a large body slowly, and half
// read a large response slowly. Its figures are the 99th percentile of the fast client's response
// time, divided by what it is without the slow clients, and that percentile. In the end the slow
// clients become fast, and each must get the response that it should: until then, a side that cannot
// serve the fast client beside them leaves it waiting.
type beside struct {
	fast load
	slow int // clients
	size int // bytes of a body, and of a response
}

func (beside) figures() []string { return []string{"×", "p99 ms"} }

func (b beside) measure(r *running, length time.Duration) ([]float64, error) {
	fast, err := b.fast.open(r.socket)
	if err != nil {
		return nil, err
	}
	defer fast.close()
	if err := fast.requestUntil(time.Now().Add(length)); err != nil {
		return nil, err
	}
	without := p99(fast.took)
	slow, err := b.open(r.socket)
	if err != nil {
		return nil, err
	}
	defer slow.close()
	if err := slow.settle(length / 2); err != nil {
		return nil, err
	}
	fast.took = nil
	until := time.Now().Add(length)
	ended := make(chan error, 1)
	go func() {
		err := slow.trickle(until)
		if err == nil {
			err = slow.finish()
		}
		ended <- err
	}()
	err = fast.requestUntil(until)
	if slowErr := <-ended; slowErr != nil {
		return nil, fmt.Errorf("a slow client: %w", slowErr)
	}
	if err != nil {
		return nil, err
	}
	with := p99(fast.took)
	return []float64{float64(with) / float64(without), float64(with) / float64(time.Millisecond)}, nil
}

const (
	trickleBytes = 1 << 10     // that a slow client sends or reads at a time …
	trickleEvery = time.Second // … and how often
	allBytes     = 256 << 10   // that it sends or reads at a time when it is slow no more
)

// A trickler is a client that sends a body slowly, or reads a response slowly.
type trickler struct {
	fd     int
	rest   []byte    // of the request, not sent yet
	sip    *sip      // the large response, if it reads one
	answer *response // the response to a body, if it sends one …
	got    []byte    // … as far as it has come
	done   bool
}

// tricklers are all slow clients, which one goroutine runs.
type tricklers struct {
	all []*trickler
	buf []byte
}

// open connects the slow clients, which send the head of their request.
func (b beside) open(socket string) (*tricklers, error) {
	get, post := b.fast.request, b.fast.request
	get.query, post.body = fmt.Sprint("size=", b.size), b.size
	body := bytes.Repeat(block(), b.size/blockLen+1)[:b.size]
	request, head := get.bytes(), post.head()
	upload := record.AppendRecord(record.AppendStream(bytes.Clone(head), record.Stdin, 1, body), record.Stdin, 1, nil)
	if post.http {
		head = post.browserHead()
		upload = append(bytes.Clone(head), body...)
	}
	answer := &response{http: b.fast.request.http, body: fmt.Sprintln(b.size)}
	ts := &tricklers{buf: make([]byte, allBytes)}
	pattern := append(block(), block()...)
	for i := range b.slow {
		fd, err := connect(socket, false)
		if err != nil {
			ts.close()
			return nil, err
		}
		t := &trickler{fd: fd, rest: request}
		first := len(request)
		if i%2 == 0 {
			t.rest, t.answer, first = upload, answer, len(head)+min(trickleBytes, b.size)
		} else {
			t.sip = &sip{download: &download{c: blocking(fd), size: b.size, http: get.http, pattern: pattern}}
		}
		ts.all = append(ts.all, t)
		n, err := send(fd, t.rest[:first])
		if err == nil && n < first {
			err = fmt.Errorf("%d bytes of a request were taken", n)
		}
		if err != nil {
			ts.close()
			return nil, err
		}
		t.rest = t.rest[n:]
	}
	return ts, nil
}

func (ts *tricklers) close() {
	for _, t := range ts.all {
		unix.Close(t.fd)
	}
}

// settle returns when each large response has begun, or when no further one has for some time.
func (ts *tricklers) settle(patience time.Duration) error {
	for last := time.Now(); time.Since(last) < patience; time.Sleep(time.Millisecond) {
		waiting := false
		for _, t := range ts.all {
			if t.sip == nil || t.sip.read > 0 {
				continue
			}
			n, err := t.step(ts.buf, trickleBytes)
			if err != nil {
				return err
			}
			waiting = true
			if n > 0 {
				last = time.Now()
			}
		}
		if !waiting {
			return nil
		}
	}
	return nil
}

// trickle lets the clients be slow.
func (ts *tricklers) trickle(until time.Time) error {
	began, steps := time.Now(), 0
	for ; time.Now().Before(until); time.Sleep(time.Millisecond) {
		for due := int(float64(len(ts.all)) * time.Since(began).Seconds() / trickleEvery.Seconds()); steps < due; steps++ {
			t := ts.all[steps%len(ts.all)]
			if _, err := t.step(ts.buf, trickleBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish has all clients send and read the rest as fast as they can.
func (ts *tricklers) finish() error {
	for progress := time.Now(); ; {
		open, moved := 0, 0
		for _, t := range ts.all {
			if t.done {
				continue
			}
			n, err := t.step(ts.buf, allBytes)
			if err != nil {
				return err
			}
			moved += n
			if !t.done {
				open++
			}
		}
		switch {
		case open == 0:
			return nil
		case moved > 0:
			progress = time.Now()
		case time.Since(progress) > patience:
			return fmt.Errorf("%d clients have no response for %v", open, patience)
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// step sends or reads up to so many bytes, as far as it need not wait, and returns how many.
func (t *trickler) step(buf []byte, most int) (n int, err error) {
	switch {
	case t.done:
		return 0, nil
	case len(t.rest) > 0:
		n, err = send(t.fd, t.rest[:min(most, len(t.rest))])
		t.rest = t.rest[n:]
		return n, err
	case t.sip != nil:
		n, err = t.sip.sip(buf, most, false)
		t.done = t.sip.done
		return n, err
	}
	if n, err = recv(t.fd, buf); n > 0 {
		t.got = append(t.got, buf[:n]...)
		t.done, err = t.answer.complete(t.got)
	}
	return n, err
}

// wsgiSlowRows returns the rows of a fast client beside slow ones.
func wsgiSlowRows(n scale) []row {
	title := fmt.Sprintf("WSGI hello beside %d slow clients, %d workers, ", n.clients, wsgiWorkers)
	with := func(q request) meter {
		return beside{fast: load{connections: 1, latency: true, request: q}, slow: n.clients, size: n.size / 100}
	}
	fastCGI := with(request{keep: true, filename: "/srv/hello"})
	web := with(request{http: true, browser: true, keep: true, filename: "hello"})
	webEach := with(request{http: true, browser: true, filename: "hello"})
	patient := gunicorn("slow")
	patient.args = append(patient.args, "--timeout", "0") // it would kill workers that wait for slow clients
	many := waitress("slow")
	many.args = append([]string{"--connection-limit", fmt.Sprint(n.clients + 100), "--asyncore-use-poll"}, many.args...)
	peers := func() []rival {
		return []rival{{contender{patient, webEach}, goal{most: 2}}, {contender{many, web}, goal{}}}
	}
	return []row{
		{name: "wsgi-slow", title: title + "FastCGI", ours: contender{wsgi("slow"), fastCGI}, peers: peers()},
		{name: "wsgi-slow", title: title + "HTTP", ours: contender{wsgi("slow").overHTTP(), web}, peers: peers()},
	}
}
