//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// A slow load has clients that read large responses at the same time, evenly over five
// times the length of a measurement. There is always more to read than they want.
type slow struct {
	clients  int
	size     int
	filename string // of a program that writes them
}

func (slow) figures() []string { return []string{"MB/s"} }

// A sip is one client of a slow load.
type sip struct {
	*download
	rest []byte // read and not parsed yet
	read int    // bytes, including the framing
	done bool
}

func (s slow) measure(r *running, length time.Duration) ([]float64, error) {
	q := forSize(s.filename, s.size)
	q.keep = true
	request := q.bytes()
	var clients []*sip
	defer func() {
		for _, c := range clients {
			c.c.Close()
		}
	}()
	buf := make([]byte, 256<<10)
	for range s.clients {
		fd, err := connect(r.socket, false)
		if err != nil {
			return nil, err
		}
		d := &download{c: blocking(fd), size: s.size} // only the first compares all bytes
		if len(clients) > 0 {
			d.pattern = clients[0].pattern
		} else {
			d = newDownload(blocking(fd), s.size)
		}
		clients = append(clients, &sip{download: d})
	}
	if err := r.startMeasuring(); err != nil {
		return nil, err
	}
	began, progress := time.Now(), time.Now()
	for _, c := range clients {
		if n, err := send(int(c.c), request); err != nil || n < len(request) {
			return nil, errors.Join(err, fmt.Errorf("%d bytes of a request were taken", n))
		}
	}
	for open := len(clients); open > 0; time.Sleep(time.Millisecond) {
		over := min(1, float64(time.Since(began))/float64(max(5*length, 1)))
		wanted := int(over * float64(s.size))
		for _, c := range clients {
			if c.done {
				continue
			}
			// A client that has read the whole body still wants the framing.
			n, err := c.sip(buf, wanted-c.read, over == 1)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				progress = time.Now()
			}
			if c.done {
				open--
			}
		}
		if time.Since(progress) > patience+5*length {
			return nil, fmt.Errorf("no response for %v", patience)
		}
	}
	elapsed, err := r.stopMeasuring(s.clients)
	return []float64{float64(s.clients) * float64(s.size) / 1e6 / elapsed.Seconds()}, err
}

// sip reads up to the wanted number of bytes, as far as available, and returns how many.
func (c *sip) sip(buf []byte, wanted int, all bool) (total int, err error) {
	for !c.done && (all || wanted > 0) {
		kept := copy(buf, c.rest)
		most := len(buf) - kept
		if !all {
			most = min(most, wanted)
		}
		n, err := recv(int(c.c), buf[kept:kept+most])
		if err == nil && n > 0 {
			total, c.read, wanted = total+n, c.read+n, wanted-n
			var rest []byte
			rest, c.done, err = c.consume(buf[:kept+n])
			c.rest = append(c.rest[:0], rest...)
		}
		if err != nil {
			return total, fmt.Errorf("after %d bytes of a response: %w", c.got, err)
		}
		if n == 0 {
			break
		}
	}
	return total, nil
}
