//go:build linux

package main

import (
	"fmt"
	"io"
	"time"
)

// An scgiFetching load requests large responses over SCGI, one after the other.
type scgiFetching struct {
	size     int
	filename string // of a program that writes them
}

func (scgiFetching) figures() []string { return []string{"MB/s"} }

func (a scgiFetching) measure(r *running, length time.Duration) ([]float64, error) {
	request := forSize(a.filename, a.size).scgi()
	d := newDownload(-1, a.size)
	return transfers(r, a.size, length, func() error {
		c, err := dial(r.socket)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(request); err != nil {
			return err
		}
		d.c = c
		err = d.readToEnd()
		d.all = false // as with FastCGI
		return err
	})
}

// readToEnd reads a response without framing.
func (d *download) readToEnd() error {
	d.reset()
	for {
		n, err := d.c.Read(d.buf)
		if err == io.EOF {
			if d.got != d.size {
				return fmt.Errorf("a response of %d bytes, not %d", d.got, d.size)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes of a response: %w", d.got, err)
		}
		if err := d.checkContent(d.buf[:n]); err != nil {
			return err
		}
	}
}
