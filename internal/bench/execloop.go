//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"os"

	"gatehouse/fastcgi/record"
)

// serveExec is the least that a Go program can do to run a CGI program for each
// request: one goroutine per connection parses the request as serveBare does, starts the
// program, reads its output to the end, waits for it, and sends the output in one
// response. The program's environment is prepared in advance.
func serveExec(l net.Listener, program string) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	stdin, env := null.Fd(), request{filename: program}.environment()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			b := &bare{c: c, buf: make([]byte, 4096)}
			out := make([]byte, 4096)
			for {
				keep, _, err := b.request()
				if err != nil {
					return
				}
				n, err := execute(program, env, stdin, out)
				if err != nil {
					return
				}
				response := record.AppendStream(nil, record.Stdout, 1, out[:n])
				response = record.AppendRecord(response, record.Stdout, 1, nil)
				if _, err := c.Write(record.AppendEndRequest(response, 1, 0, record.RequestComplete)); err != nil || !keep {
					return
				}
			}
		}()
	}
}

// execute runs a program and reads its output, which fits into out.
func execute(program string, env []string, stdin uintptr, out []byte) (int, error) {
	p, err := startProcess(program, env, stdin, false, 0)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(p.out, out)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return n, errors.Join(err, p.wait())
}
