//go:build linux

package main

import (
	"net"

	"gatehouse/fastcgi/record"
)

// serveBareHop is the least that a Go program which passes requests on can do: a goroutine, and
// a connection to the application, for each connection. It looks only at record headers, to
// find the ends of a request and of its response, and passes the bytes on as they are.
func serveBareHop(l net.Listener, upstream string) error {
	for {
		front, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer front.Close()
			back, err := net.Dial("unix", upstream)
			if err != nil {
				return
			}
			defer back.Close()
			buf := make([]byte, 64<<10)
			for passMessage(back, front, buf, isLastOfRequest) == nil && passMessage(front, back, buf, isLastOfResponse) == nil {
			}
		}()
	}
}

func isLastOfRequest(h record.Header) bool {
	return h.Type() == record.Stdin && h.ContentLength() == 0
}

func isLastOfResponse(h record.Header) bool { return h.Type() == record.EndRequest }

// passMessage reads records up to the last of a message, and writes them in one piece. The
// message has to fit into buf.
func passMessage(to, from net.Conn, buf []byte, isLast func(record.Header) bool) error {
	end, next := 0, 0
	for {
		n, err := from.Read(buf[end:])
		if end += n; n == 0 {
			return err
		}
		for end-next >= record.HeaderLen {
			h := record.Header(buf[next:])
			size := record.HeaderLen + h.ContentLength() + h.PaddingLength()
			if end-next < size {
				break
			}
			if next += size; isLast(h) {
				_, err := to.Write(buf[:end])
				return err
			}
		}
	}
}
