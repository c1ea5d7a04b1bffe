package gatehouse

import (
	"context"
	"log"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/cgi"
	"gatehouse/internal/frontend"
)

// An httpServer serves HTTP/1.1 on one listener, under the limits of the other
// front-ends.
type httpServer struct {
	server *http.Server
	peers  frontend.Peers
	log    *slog.Logger
	cancel context.CancelCauseFunc // of every request's context
	slots  chan struct{}           // one for each open connection
	closed chan struct{}           // closed when no more is accepted

	// net/http learns of a connection a moment after it was accepted, and its Shutdown
	// overlooks those; so the account is kept here.
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	ended chan struct{} // closed when no more is accepted and the last has ended
}

func newHTTPServer(app cgi.App, h *cgi.Handler, limits cgi.Limits, peers frontend.Peers, l *slog.Logger) *httpServer {
	limits = limits.WithDefaults()
	base, cancel := context.WithCancelCause(context.Background())
	s := &httpServer{
		peers:  peers,
		log:    l,
		cancel: cancel,
		slots:  make(chan struct{}, limits.Connections),
		closed: make(chan struct{}),
		conns:  make(map[net.Conn]struct{}),
		ended:  make(chan struct{}),
	}
	s.server = &http.Server{
		Handler:           h.HTTP(app, limits),
		ReadHeaderTimeout: timeout(limits.Idle),
		IdleTimeout:       timeout(limits.Idle),
		MaxHeaderBytes:    limits.ParamsBytes,
		ErrorLog:          log.New(serverLog{l}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         s.connState,
	}
	return s
}

// timeout returns a limit as net/http has it: 0 for none.
func timeout(d time.Duration) time.Duration {
	if d == math.MaxInt64 {
		return 0
	}
	return d
}

// connState takes a connection that has ended out of the account. None is ever
// hijacked.
func (s *httpServer) connState(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	s.mu.Lock()
	delete(s.conns, c)
	s.settle()
	s.mu.Unlock()
	<-s.slots
}

// settle closes ended when there is nothing left to wait for.
func (s *httpServer) settle() {
	select {
	case <-s.closed:
		if len(s.conns) == 0 {
			select {
			case <-s.ended:
			default:
				close(s.ended)
			}
		}
	default:
	}
}

// admit takes a new connection into the account, unless no more is accepted.
func (s *httpServer) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return false
	default:
		s.conns[c] = struct{}{}
		return true
	}
}

// stopAccepting refuses every connection that was not admitted yet.
func (s *httpServer) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.settle()
}

// Serve serves the connections of l.
func (s *httpServer) Serve(l net.Listener) error {
	if err := s.peers.Check(); err != nil {
		l.Close()
		return err
	}
	return s.server.Serve(&boundedListener{Listener: l, server: s})
}

// A boundedListener accepts only while there are slots, and only from peers that
// are allowed.
type boundedListener struct {
	net.Listener
	server *httpServer
}

func (b *boundedListener) Accept() (net.Conn, error) {
	s := b.server
	select {
	case s.slots <- struct{}{}:
	case <-s.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			<-s.slots
			return nil, err
		}
		refused := s.peers.Refuse(c)
		if refused == nil {
			if !s.admit(c) {
				c.Close()
				<-s.slots
				return nil, net.ErrClosed
			}
			return c, nil
		}
		s.log.Warn("peer refused", "listener", b.Addr().String(), "peer", c.RemoteAddr().String(), "error", refused.Error())
		c.Close()
	}
}

// Shutdown is that of the other front-ends: what is left at the end of ctx is cut
// off, and it returns when every connection has ended.
func (s *httpServer) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	err := s.server.Shutdown(ctx)
	if err == nil {
		select {
		case <-s.ended:
			s.cancel(cgi.ErrShutdown)
			return nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.Close()
	return err
}

// Close cuts every connection off.
func (s *httpServer) Close() error {
	s.stopAccepting()
	s.cancel(cgi.ErrShutdown)
	err := s.server.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	<-s.ended
	return err
}

// A serverLog passes net/http's own complaints on.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	text := string(p)
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	l.log.Warn("http", "error", text)
	return len(p), nil
}
