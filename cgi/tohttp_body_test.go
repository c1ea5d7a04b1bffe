package cgi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A clockedWriter is a http.ResponseWriter that notes its read deadlines.
type clockedWriter struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (w *clockedWriter) SetReadDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

// The limit on reading the body runs while somebody waits for it. If it ran on,
// net/http would take its end for a client that has gone.
func TestHTTPBodyDeadlines(t *testing.T) {
	w := &clockedWriter{ResponseRecorder: httptest.NewRecorder()}
	began := time.Now()
	l := Limits{BodyRead: time.Hour, BodyRate: -1, Linger: time.Minute}.WithDefaults()
	b := newHTTPBody(strings.NewReader("hello"), http.NewResponseController(w), l)
	last := func() time.Time { return w.deadlines[len(w.deadlines)-1] }

	if n, err := b.Read(make([]byte, 3)); n != 3 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if len(w.deadlines) != 2 || w.deadlines[0].Before(began.Add(time.Hour)) || !last().IsZero() {
		t.Errorf("deadlines of a Read: %v", w.deadlines)
	}
	rest := b.body.(*strings.Reader)
	b.drain(&httpSink{w: w, control: b.control})
	if d := last().Sub(began); d < time.Minute || d > time.Hour || rest.Len() != 0 {
		t.Errorf("a body that is left: deadline in %v, %d bytes not drained", d, rest.Len())
	}
	b.detach()
	if !last().IsZero() {
		t.Errorf("a body that was drained: deadline %v", last())
	}
	n := len(w.deadlines)
	b.Close()
	if _, err := b.Read(make([]byte, 3)); err != ErrBodyClosed {
		t.Errorf("Read after the end = %v", err)
	}
	if err := b.setOwnDeadline(began); err != ErrBodyClosed {
		t.Errorf("a deadline after the end = %v", err)
	}
	if len(w.deadlines) != n {
		t.Error("the connection's next request was disturbed")
	}

	b = newHTTPBody(strings.NewReader("hello"), http.NewResponseController(w), l)
	if _, err := io.ReadAll(b); err != nil {
		t.Error(err)
	}
	b.detach()
	if !last().IsZero() {
		t.Errorf("a body that was read: deadline %v", last())
	}
}
