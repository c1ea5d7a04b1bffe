package cgi

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/cgi/spool"
)

// A pausedBody is a body as nginx sends it: what has not been sent when the head of
// the answer arrives never is.
type pausedBody struct {
	textSink
	rest   io.Reader
	closed chan struct{}
}

func newPausedBody(body string) *pausedBody {
	return &pausedBody{rest: iotest.HalfReader(strings.NewReader(body)), closed: make(chan struct{})}
}

func (b *pausedBody) Read(p []byte) (int, error) {
	if b.heads > 0 {
		<-b.closed
		return 0, ErrBodyClosed
	}
	return b.rest.Read(p)
}

func (b *pausedBody) Close() error {
	close(b.closed)
	return nil
}

func (b *pausedBody) run(t *testing.T, h *Handler, app AppFunc) Result {
	t.Helper()
	h.Log = quiet
	return h.Run(&Request{Env: NewEnviron("REQUEST_METHOD=POST"), ContentLength: -1, Body: b}, b, app)
}

var quiet = slog.New(slog.DiscardHandler)

var long = strings.Repeat("0123456789abcdef", 20_000)

// TestHeadBeforeBody: whatever an application sends before it reads, it still gets
// its body.
func TestHeadBeforeBody(t *testing.T) {
	for name, send := range map[string]func(w ResponseWriter) error{
		"flush":          func(w ResponseWriter) error { return w.Flush() },
		"flush twice":    func(w ResponseWriter) error { return errors.Join(w.Flush(), w.Flush()) },
		"more than held": func(w ResponseWriter) error { _, err := w.Write(make([]byte, bufferedBytes+1)); return err },
		"read from": func(w ResponseWriter) error {
			_, err := w.(io.ReaderFrom).ReadFrom(bytes.NewReader(make([]byte, bufferedBytes+1)))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPausedBody(long)
			budget := spool.NewBudget(0)
			res := b.run(t, &Handler{Spool: spool.Limits{Memory: 1000, Dir: t.TempDir(), Total: budget}}, func(w ResponseWriter, r *Request) error {
				first := make([]byte, 100)
				if _, err := io.ReadFull(r.Body, first); err != nil {
					return err
				}
				if err := w.StartResponse("200 OK", nil); err != nil {
					return err
				}
				if err := send(w); err != nil {
					return err
				}
				if budget.Used() == 0 {
					t.Error("nothing is kept")
				}
				rest, err := io.ReadAll(r.Body)
				if got := string(first) + string(rest); err != nil || got != long {
					t.Errorf("read %d bytes, %v; want %d", len(got), err, len(long))
				}
				return nil
			})
			if res.End != Complete || res.Err != nil {
				t.Errorf("%v, %v", res.End, res.Err)
			}
			if budget.Used() != 0 {
				t.Errorf("%d bytes of the budget are left", budget.Used())
			}
		})
	}
}

// TestHeadBeforeBodyWhileRead: a body that another goroutine reads meanwhile comes
// to it whole and in order.
func TestHeadBeforeBodyWhileRead(t *testing.T) {
	b := newPausedBody(long)
	b.run(t, new(Handler), func(w ResponseWriter, r *Request) error {
		got := make(chan string)
		go func() {
			s, _ := io.ReadAll(r.Body)
			got <- string(s)
		}()
		w.StartResponse("200 OK", nil)
		w.Flush()
		if s := <-got; s != long {
			t.Errorf("read %d bytes; want %d", len(s), len(long))
		}
		return nil
	})
}

// TestHeadDoesNotWait: a complete answer, and one with EnableFullDuplex, does not
// wait for a body that never comes.
func TestHeadDoesNotWait(t *testing.T) {
	for name, app := range map[string]AppFunc{
		"complete": answer("403 Forbidden", nil, "no"),
		"full duplex": func(w ResponseWriter, r *Request) error {
			if err := EnableFullDuplex(w); err != nil {
				t.Error(err)
			}
			w.StartResponse("200 OK", nil)
			return w.Flush()
		},
		"closed": func(w ResponseWriter, r *Request) error {
			r.CloseBody()
			w.StartResponse("200 OK", nil)
			w.Flush()
			if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != ErrBodyClosed {
				t.Errorf("Read = %d, %v", n, err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			defer w.Close()
			h := Handler{Log: quiet}
			s := new(textSink)
			if res := h.Run(&Request{Env: new(Environ), ContentLength: 5, Body: r}, s, app); res.End != Complete || s.heads != 1 {
				t.Errorf("%v, %v", res.End, res.Err)
			}
		})
	}
}

// TestHeadBeforeBodyClosed: the closing of a body ends the wait for it.
func TestHeadBeforeBodyClosed(t *testing.T) {
	b := newPausedBody("")
	b.rest = readFunc(func([]byte) (int, error) {
		<-b.closed
		return 0, ErrBodyClosed
	})
	res := b.run(t, new(Handler), func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		go r.CloseBody()
		return w.Flush()
	})
	if res.End != Complete || b.heads != 1 {
		t.Errorf("%v, %v", res.End, res.Err)
	}
}

// TestHeadBeforeLongBody: what is beyond the limits follows what is kept, and an
// error of the body comes behind it.
func TestHeadBeforeLongBody(t *testing.T) {
	broken := errors.New("broken")
	for name, limits := range map[string]spool.Limits{
		"limit of one": {Max: 40_000},
		"limit of all": {Total: spool.NewBudget(40_000)},
		"no file":      {Memory: 40_000, Dir: t.TempDir() + "/missing"},
	} {
		t.Run(name, func(t *testing.T) {
			src := io.MultiReader(strings.NewReader(long), iotest.ErrReader(broken))
			h := Handler{Log: quiet, Spool: limits}
			h.Run(&Request{Env: new(Environ), ContentLength: -1, Body: src}, new(textSink), AppFunc(func(w ResponseWriter, r *Request) error {
				w.StartResponse("200 OK", nil)
				if err := w.Flush(); err != nil {
					return err
				}
				b, err := io.ReadAll(iotest.OneByteReader(r.Body))
				if string(b) != long || err != broken {
					t.Errorf("read %d bytes, %v; want %d, then the error", len(b), err, len(long))
				}
				return nil
			}))
		})
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestHeadBeforeRefusedBody: a body that is refused while the head waits for it makes
// the answer, also if the application does not read it.
func TestHeadBeforeRefusedBody(t *testing.T) {
	late := &StatusError{Code: 408, Err: errors.New("body_read")}
	for name, app := range map[string]AppFunc{
		"returns the error": func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			return w.Flush()
		},
		"ignores it": func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			for range 3 {
				if _, err := w.Write(make([]byte, bufferedBytes)); err == nil {
					continue
				} else if err != late {
					t.Errorf("Write = %v", err)
				}
			}
			return nil
		},
	} {
		s := new(textSink)
		h := Handler{Log: quiet}
		res := h.Run(&Request{Env: new(Environ), ContentLength: 5, Body: iotest.ErrReader(late)}, s, app)
		if want := "Status: 408 Request Timeout\r\n"; res.Code != 408 || !strings.HasPrefix(s.String(), want) {
			t.Errorf("%s: %d, %.80q", name, res.Code, s.String())
		}
	}
}

// TestBodyPanics: a body that panics is the application's failure, wherever it is read.
func TestBodyPanics(t *testing.T) {
	body := readFunc(func([]byte) (int, error) { panic("no body") })
	for name, app := range map[string]AppFunc{
		"read": func(w ResponseWriter, r *Request) error {
			_, err := r.Body.Read(make([]byte, 1))
			return err
		},
		"taken": func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			return w.Flush()
		},
	} {
		h := Handler{Log: quiet}
		if res := h.Run(&Request{Env: new(Environ), ContentLength: 5, Body: body}, new(textSink), app); res.Code != 500 {
			t.Errorf("%s: %d, %v", name, res.Code, res.Err)
		}
	}
	h := Handler{Log: quiet}
	if res := h.Run(&Request{Env: new(Environ), ContentLength: -1}, new(textSink), answer("200 OK", nil, "x")); res.Code != 200 {
		t.Errorf("without a body: %d, %v", res.Code, res.Err)
	}
}

// TestSpoolsAreBoundedTogether: without a budget of the caller's there is one.
func TestSpoolsAreBoundedTogether(t *testing.T) {
	h := new(Handler)
	l := h.spool()
	if l.Total == nil || l.MemoryTotal == nil || h.spool() != l {
		t.Error("a Handler has no budgets for all its spools")
	}
	if l := (Limits{}).WithDefaults(); l.Spool.Total == nil || l.Spool.MemoryTotal == nil || l.ParamsTotal == nil {
		t.Error("Limits have no budgets for all spools and variables")
	}
	own := spool.Limits{Total: spool.NewBudget(5), MemoryTotal: spool.NewBudget(6)}
	h = &Handler{Spool: own}
	if h.spool() != own || (Limits{Spool: own}).WithDefaults().Spool.MemoryTotal != own.MemoryTotal {
		t.Error("a budget is replaced")
	}
}
