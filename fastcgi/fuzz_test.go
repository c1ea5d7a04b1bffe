package fastcgi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/spool"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// hostileLimits bound what the server of FuzzConnection keeps.
var hostileLimits = cgi.Limits{ParamsBytes: 4096, ParamsCount: 50, Requests: 5, Spool: spool.Limits{Memory: 10_000, Max: 50_000}}

// manyBytes is what an application writes that writes a lot.
var manyBytes = make([]byte, 200_000)

func startOK(w cgi.ResponseWriter) error { return w.StartResponse("200 OK", nil) }

// fuzzApps are the applications that FuzzConnection chooses from. The last waits for
// the peer to leave.
var fuzzApps = []cgi.AppFunc{
	echo,
	hello,
	func(w cgi.ResponseWriter, r *cgi.Request) error { // writes before it reads
		cgi.EnableFullDuplex(w)
		err := startOK(w)
		if err == nil {
			_, err = w.Write(manyBytes)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		return err
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { // its head waits for the body
		err := errors.Join(startOK(w), w.Flush())
		if err == nil {
			_, err = io.Copy(w, r.Body)
		}
		return err
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { panic("as planned") },
	func(w cgi.ResponseWriter, r *cgi.Request) error { // breaks off
		return errors.Join(startOK(w), w.Flush(), errProgram)
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { // a byte, and no more
		r.Body.Read(make([]byte, 1))
		r.CloseBody()
		return hello(w, r)
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { // leaves a goroutine behind
		go io.Copy(io.Discard, r.Body)
		return hello(w, r)
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { // a filter that reads its data first
		if r.Data != nil {
			io.Copy(io.Discard, r.Data)
		}
		return echo(w, r)
	},
	func(w cgi.ResponseWriter, r *cgi.Request) error { return untilCancelled(r) },
}

// FuzzConnection sends any bytes to a server, whose application the first argument
// chooses. Every request that has begun must end at most once, and exactly once unless
// the connection ends in an error; what comes must be records; and nothing may be
// left, nor more be kept than the limits say.
func FuzzConnection(f *testing.F) {
	for app := range fuzzApps {
		app := byte(app)
		f.Add(app, get(1, 0))
		f.Add(app, append(get(1, 1), post(2, 1, "hello")...))
		f.Add(app, append(begin(1, 1), abort(1)...))
		f.Add(app, append(get(1, 1, "CONTENT_LENGTH=5"), abort(1)...))
		f.Add(app, append(record.AppendBegin(nil, 1, record.Filter, 1), append(params(1), append(endStdin(1), raw(1, 8, 1, "data", 4, 0)...)...)...))
		f.Add(app, append(append(begin(3, 1), begin(1, 0)...), append(params(3, "CONTENT_LENGTH=9"), stdin(3, "12345")...)...))
	}
	refused := append(record.AppendBegin(nil, 1, 9, 1), params(1)...)
	large := append(begin(7, 1), params(7, "CONTENT_LENGTH=150000")...)
	for id := uint16(2); id < 9; id++ {
		refused = append(refused, append(begin(id, 1), params(id)...)...)
		large = append(large, stdin(7, strings.Repeat("x", 20_000))...)
	}
	for app := range fuzzApps {
		f.Add(byte(app), refused)
		f.Add(byte(app), append(large, endStdin(7)...))
		f.Add(byte(app)|0x80, large)
	}
	f.Add(byte(1), raw(1, 9, 0, "\x0f\x00FCGI_MPXS_CONNS", 3, 0))
	f.Add(byte(1), append(begin(1, 1), raw(1, 4, 1, "\xff\xff\xff\xff", 0, 0)...))
	f.Add(byte(1), []byte("GET / HTTP/1.0\r\n\r\n"))
	addCaptures(f)
	f.Fuzz(func(t *testing.T, app byte, data []byte) {
		before := inUse()
		tryConnection(t, fuzzApps[int(app&0x7f)%len(fuzzApps)], int(app&0x7f)%len(fuzzApps) == len(fuzzApps)-1, app&0x80 == 0, data)
		if after := before.settle(); after.goroutines > before.goroutines || after.descriptors > before.descriptors {
			t.Errorf("%+v were in use before, %+v after", before, after)
		} else if got, limit := after.allocated-before.allocated, uint64(8<<20+1000*len(data)); got > limit {
			t.Errorf("%d bytes were allocated for %d", got, len(data))
		}
	})
}

// addCaptures adds what real web servers sent, whole and cut at odd places.
func addCaptures(f *testing.F) {
	captures, err := cgitest.LoadCaptures(os.DirFS(capturesDir))
	if err != nil {
		f.Fatal(err)
	}
	for i, capture := range captures {
		data, err := os.ReadFile(filepath.Join(capturesDir, capture.File))
		if err != nil {
			f.Fatal(err)
		}
		if capture.Protocol != "fastcgi" || len(data) > 20_000 {
			continue
		}
		app := byte(i)
		f.Add(app&0x7f, data)
		f.Add((app+1)|0x80, data[:len(data)*2/3])
		f.Add((app+2)&0x7f, data[:len(data)/3+1])
		f.Add((app+3)&0x7f, append(data[:len(data)/2:len(data)/2], get(1, 1)...))
	}
}

// usage is what a process uses.
type usage struct {
	goroutines, descriptors int
	allocated               uint64
}

func inUse() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd") // where there is such a thing
	return usage{runtime.NumGoroutine(), len(fds), m.TotalAlloc}
}

// settle returns what is in use once goroutines that have been told to end have done so.
func (u usage) settle() (now usage) {
	for deadline := time.Now().Add(testkit.Patience); ; runtime.Gosched() {
		now = inUse()
		if now.goroutines <= u.goroutines && now.descriptors <= u.descriptors || time.Now().After(deadline) {
			return now
		}
	}
}

// A logCount counts the log lines that tell of a connection's end.
type logCount struct{ closed atomic.Int32 }

func (l *logCount) Enabled(context.Context, slog.Level) bool { return true }
func (l *logCount) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logCount) WithGroup(string) slog.Handler            { return l }
func (l *logCount) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "connection closed") {
		l.closed.Add(1)
	}
	return nil
}

// tryConnection sends data over a socket, or in memory, to a new server, and checks
// what comes back.
func tryConnection(t *testing.T, app cgi.App, leave, socket bool, data []byte) {
	logs, kept := new(logCount), spool.NewBudget(100_000)
	s := &Server{App: app, Filter: app, Log: slog.New(logs), Limits: hostileLimits}
	s.Limits.Spool.Total = kept
	s.Handler = &cgi.Handler{Log: s.Log, Spool: s.Limits.Spool}
	var l net.Listener
	var dial func() (net.Conn, error)
	if socket {
		ul, err := net.Listen("unix", "")
		if err != nil {
			t.Fatal(err)
		}
		l, dial = ul, func() (net.Conn, error) { return net.Dial("unix", ul.Addr().String()) }
	} else {
		pl := newPipeListener()
		l, dial = pl, func() (net.Conn, error) { return pl.dial(1000, true), nil }
	}
	var wg sync.WaitGroup
	wg.Go(func() { s.Serve(l) })
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(testkit.Patience))
	wg.Go(func() {
		c.Write(data)
		if leave {
			c.Close()
			return
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
	})
	least, most := ends(data)
	err = readAnswers(t, c, most, least)
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		t.Error("the server does not end the connection")
	case leave, !socket, errors.Is(err, record.ErrVersion), logs.closed.Load() > 0:
	default:
		for id, n := range least {
			if n > 0 {
				t.Errorf("request %d did not end", id)
			}
		}
	}
	c.Close()
	s.Close()
	wg.Wait()
	if n := kept.Used(); n != 0 {
		t.Errorf("%d bytes are kept of requests that have ended", n)
	}
}

// readAnswers reads what comes, and counts the ends. It returns why nothing more does.
func readAnswers(t *testing.T, c net.Conn, most, least map[uint16]int) error {
	for r := record.NewReader(c); ; {
		h, content, err := r.Next()
		if err != nil {
			return err
		}
		switch id := h.ID(); h.Type() {
		case record.EndRequest:
			least[id]--
			if most[id]--; most[id] < 0 {
				t.Errorf("request %d ended more often than it began", id)
			}
			if _, err := record.ParseEnd(content); err != nil {
				t.Error(err)
			}
		case record.Stdout:
			if most[id] == 0 {
				t.Errorf("STDOUT for request %d, which is not active", id)
			}
		case record.GetValuesResult, record.UnknownType:
			if id != 0 {
				t.Errorf("%v for request %d", h.Type(), id)
			}
		default:
			t.Errorf("%v for request %d", h.Type(), id)
		}
	}
}

// ends counts how often each request must end at least, if the connection does not end
// in an error, and how often at most. Until it is known that a connection is to be
// closed, each that begins and whose PARAMS end, or that is aborted, must. Of the last
// BEGIN_REQUEST only the 8 bytes that mean something need have come.
func ends(data []byte) (least, most map[uint16]int) {
	least, most = make(map[uint16]int), make(map[uint16]int)
	open := make(map[uint16]int) // bytes of PARAMS, of those that have begun
	closing := false
	for len(data) >= record.HeaderLen {
		h := record.Header(data)
		data = data[record.HeaderLen:]
		if h.Version() != record.Version1 {
			break
		}
		id, length := h.ID(), h.ContentLength()
		size, begun := open[id]
		switch typ := h.Type(); {
		case typ == record.BeginRequest && len(data) >= 8:
			most[id]++
			if delete(open, id); closing {
				break
			}
			open[id] = 0
			closing = data[2]&record.KeepConn == 0
		case typ == record.AbortRequest && begun, typ == record.Params && begun && length == 0:
			delete(open, id)
			least[id]++
		case typ == record.Params && begun:
			open[id] = size + length
			closing = closing || open[id] > hostileLimits.ParamsBytes
		}
		data = data[min(len(data), length+h.PaddingLength()):]
	}
	return least, most
}
