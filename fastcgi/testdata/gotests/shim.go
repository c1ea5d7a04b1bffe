// What the tests of net/http/fcgi use of its unexported names, made of package fastcgi.
package fcgi

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"

	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
)

type recType = record.Type

const (
	typeBeginRequest = record.BeginRequest
	typeAbortRequest = record.AbortRequest
	typeEndRequest   = record.EndRequest
	typeParams       = record.Params
	typeStdin        = record.Stdin
	roleResponder    = record.Responder
)

// A child serves what it reads from a stream as a connection.
type child struct {
	rwc     io.ReadWriteCloser
	handler http.Handler
}

func newChild(rwc io.ReadWriteCloser, handler http.Handler) *child { return &child{rwc, handler} }

// serve closes the stream, and returns, when the server has closed the connection, and its
// handlers have returned.
func (c *child) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan error)
	go func() { served <- fastcgi.Serve(l, c.handler) }()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	go func() {
		io.Copy(peer, c.rwc)
		peer.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c.rwc, peer)
	c.rwc.Close()
	peer.Close()
	l.Close()
	<-served
}

// A recorder is a stream that keeps what is written to it.
type recorder struct {
	io.Reader
	written bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) { return r.written.Write(p) }
func (r *recorder) Close() error                { return nil }

// field returns the value of a field in the head of the response.
func (r *recorder) field(name string) string {
	_, value, _ := strings.Cut(r.written.String(), "\r\n"+name+": ")
	value, _, _ = strings.Cut(value, "\r\n")
	return value
}
