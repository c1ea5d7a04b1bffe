package cgitest

import (
	"errors"
	"io"
	"log/slog"
	"syscall"
	"testing"

	"gatehouse/cgi"
)

var quiet = &cgi.Handler{Log: slog.New(slog.DiscardHandler)}

func TestRecorder(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		fields := []cgi.Field{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}
		if err := w.StartResponse("404 Gone Fishing", fields); err != nil {
			return err
		}
		fields[0].Value = "changed"
		if _, err := io.WriteString(w, "a"); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		_, err := io.WriteString(w, "b")
		return errors.Join(err, io.ErrNoProgress)
	})
	var r Recorder
	if r.String() != "" || r.Field("X-A") != "" {
		t.Errorf("a Recorder begins with %q", r.String())
	}
	res := quiet.Run(NewRequest(nil), &r, app)
	if want := "Status: 404 Gone Fishing\r\nX-A: 1\r\nx-a: 2\r\n\r\nab"; r.String() != want {
		t.Errorf("got %q, want %q", r.String(), want)
	}
	if r.Head.Code != 404 || r.Field("x-A") != "1" || r.Field("X-B") != "" || r.Body.String() != "ab" || r.Flushes != 1 {
		t.Errorf("%+v", r)
	}
	if !r.Finished || r.Outcome != res.Outcome || r.Outcome.End != cgi.Truncated {
		t.Errorf("finished %v, with %+v, want %+v", r.Finished, r.Outcome, res.Outcome)
	}
}

func TestRecorderFails(t *testing.T) {
	gone := Recorder{WriteError: syscall.EPIPE}
	res := quiet.Run(NewRequest(nil), &gone, cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		w.StartResponse("200 OK", nil)
		io.WriteString(w, "a")
		return w.Flush()
	}))
	if res.End != cgi.Aborted || !errors.Is(res.Err, syscall.EPIPE) || gone.Body.Len()+gone.Flushes > 0 {
		t.Errorf("%v, %v, %+v", res.End, res.Err, gone)
	}

	head := &cgi.Head{Code: 200, Status: "200 OK"}
	var r Recorder
	if err := r.WriteHead(head); err != nil {
		t.Error(err)
	}
	if err := r.WriteHead(head); err != errHeads {
		t.Errorf("a second head: %v", err)
	}
	if err := r.Finish(cgi.Outcome{}); err != nil {
		t.Error(err)
	}
	_, err := r.Write([]byte("late"))
	for what, err := range map[string]error{"WriteHead": r.WriteHead(head), "Write": err, "Flush": r.Flush(), "Finish": r.Finish(cgi.Outcome{})} {
		if err != errFinished {
			t.Errorf("%s after Finish: %v", what, err)
		}
	}
}
