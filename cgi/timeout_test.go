package cgi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/testkit"
)

const page504 = "Status: 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n504 Gateway Timeout\n"

// A timedRun is a request whose application runs beside the test.
type timedRun struct {
	t      *testing.T
	sink   *textSink
	log    *testkit.Log
	result chan Result
}

func startTimed(t *testing.T, h *Handler, r *Request, app AppFunc) *timedRun {
	t.Helper()
	run := &timedRun{t: t, sink: new(textSink), log: new(testkit.Log), result: make(chan Result, 1)}
	if h.Log == nil {
		h.Log = run.log.Logger()
	}
	if r.Env == nil {
		r.Env = NewEnviron("REQUEST_METHOD=GET", "REQUEST_URI=/slow")
	}
	go func() { run.result <- h.Run(r, run.sink, app) }()
	return run
}

// wantOver checks that the limit has been answered, and that its log is one line.
func (r *timedRun) wantOver(end End, text, limit string) {
	r.t.Helper()
	synctest.Wait()
	if len(r.sink.finished) != 1 || r.sink.finished[0].End != end || !r.sink.finished[0].Overdue {
		r.t.Errorf("the sink was finished with %v, want once, %v and overdue", r.sink.finished, end)
	}
	if got := r.sink.String(); got != text {
		r.t.Errorf("the sink got %q, want %q", got, text)
	}
	if log := r.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, limit) || !strings.Contains(log, "uri=/slow") {
		r.t.Errorf("log %q, want one line with %s", log, limit)
	}
}

// wantLate checks that err is the limit's.
func wantLate(t *testing.T, what string, err error) {
	t.Helper()
	var se *StatusError
	if !errors.As(err, &se) || se.Code != 504 {
		t.Errorf("%s: %v, want the time limit", what, err)
	}
}

func TestRunTime(t *testing.T) {
	tests := []struct {
		name string
		app  func(w ResponseWriter) // before it blocks
		end  End
		text string
	}{
		{"nothing", func(ResponseWriter) {}, Complete, page504},
		{"held", func(w ResponseWriter) {
			w.StartResponse("200 OK", []Field{{"X", "y"}})
			io.WriteString(w, "half of a page")
		}, Complete, page504},
		{"sent", func(w ResponseWriter) {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "sent, ")
			w.Flush()
			io.WriteString(w, "held")
		}, Truncated, "Status: 200 OK\r\n\r\nsent, held"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				h := &Handler{RunTime: 5 * time.Second}
				run := startTimed(t, h, new(Request), func(w ResponseWriter, r *Request) error {
					ctx := r.Context()
					tt.app(w)
					<-release // which is deaf to its context
					wantLate(t, "cause", context.Cause(ctx))
					wantLate(t, "StartResponse", w.StartResponse("200 OK", nil))
					wantLate(t, "ReplaceResponse", ReplaceResponse(w, nil, "200 OK", nil))
					_, err := io.WriteString(w, "late")
					wantLate(t, "Write", err)
					_, err = w.(io.ReaderFrom).ReadFrom(strings.NewReader("late"))
					wantLate(t, "ReadFrom", err)
					wantLate(t, "Flush", w.Flush())
					wantLate(t, "SetReadDeadline", SetReadDeadline(w, time.Time{}))
					wantLate(t, "SetWriteDeadline", SetWriteDeadline(w, time.Time{}))
					wantLate(t, "WriteInformational", WriteInformational(w, 103, nil))
					_, err = SendPipe(w, -1, 1)
					wantLate(t, "SendPipe", err)
					wantLate(t, "EnableFullDuplex", EnableFullDuplex(w))
					SetExitStatus(w, 7)
					if !HeadersSent(w) {
						t.Error("the head can still be changed")
					}
					return nil
				})
				time.Sleep(5*time.Second - 1)
				synctest.Wait()
				if run.log.String() != "" {
					t.Fatal("the request was ended before its time")
				}
				time.Sleep(time.Nanosecond)
				run.wantOver(tt.end, tt.text, "took longer than 5s (RunTime)")
				select {
				case <-run.result:
					t.Error("Run returned before the application")
				default:
				}
				run.log.Reset()
				time.Sleep(time.Minute)
				close(release)
				res := <-run.result
				wantLate(t, "result", res.Err)
				if !res.Overdue || len(run.sink.finished) != 1 || run.sink.String() != tt.text {
					t.Errorf("result %+v; the sink got %q, finished %v", res, run.sink.String(), run.sink.finished)
				}
				if log := run.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "returned after its time limit") || !strings.Contains(log, "after=1m0s") {
					t.Errorf("log %q, want one line that says how long it stayed", log)
				}
			})
		})
	}
}

// TestRunTimeIsKept: an application that looks at its context comes back at once, and
// one that ends in time leaves nothing behind.
func TestRunTimeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := startTimed(t, &Handler{RunTime: time.Second}, new(Request), func(w ResponseWriter, r *Request) error {
			<-r.Context().Done()
			return context.Cause(r.Context())
		})
		wantLate(t, "result", (<-run.result).Err)
		run.wantOver(Complete, page504, "(RunTime)")

		var late ResponseWriter
		var ctx context.Context
		run = startTimed(t, &Handler{RunTime: time.Second, FirstByte: time.Second}, new(Request), func(w ResponseWriter, r *Request) error {
			late, ctx = w, r.Context()
			time.Sleep(time.Second - 1)
			w.StartResponse("200 OK", nil)
			_, err := io.WriteString(w, "in time")
			return err
		})
		if res := <-run.result; res.Err != nil || res.Overdue || run.log.String() != "" {
			t.Errorf("result %+v, log %q", res, run.log)
		}
		time.Sleep(time.Hour)
		if got := run.sink.String(); !strings.HasSuffix(got, "\r\n\r\nin time") || len(run.sink.finished) != 1 {
			t.Errorf("got %q, finished %v", got, run.sink.finished)
		}
		if _, err := io.WriteString(late, "x"); err == nil || context.Cause(ctx) != context.Canceled {
			t.Errorf("after the request: Write returned %v, the context has %v", err, context.Cause(ctx))
		}
	})
}

func TestFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		run := startTimed(t, &Handler{FirstByte: time.Second}, new(Request), func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			io.WriteString(w, "held")
			<-release
			return nil
		})
		time.Sleep(time.Second)
		run.wantOver(Complete, page504, "did not begin to respond within 1s (FirstByte)")
		close(release)
		<-run.result

		// Once the head has left it holds no more.
		run = startTimed(t, &Handler{FirstByte: time.Second}, new(Request), func(w ResponseWriter, r *Request) error {
			w.StartResponse("200 OK", nil)
			w.Flush()
			time.Sleep(10 * time.Second)
			return nil
		})
		if res := <-run.result; res.Err != nil || res.Overdue {
			t.Errorf("result %+v", res)
		}
	})
}

// TestFirstByteAndTheBody: the clock stands while the body is waited for, and begins
// anew with each of its bytes.
func TestFirstByteAndTheBody(t *testing.T) {
	type take func(w ResponseWriter, r *Request) error
	read := func(w ResponseWriter, r *Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}
	flush := func(w ResponseWriter, r *Request) error {
		w.StartResponse("200 OK", nil)
		return w.Flush()
	}
	for name, take := range map[string]take{"read": read, "taken": flush} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pr, pw := io.Pipe()
				run := startTimed(t, &Handler{FirstByte: time.Second}, &Request{Body: pr, ContentLength: 3}, func(w ResponseWriter, r *Request) error {
					if err := take(w, r); err != nil {
						return err
					}
					time.Sleep(time.Second - 1)
					return flush(w, r)
				})
				for range 3 {
					time.Sleep(time.Hour)
					io.WriteString(pw, "x")
				}
				time.Sleep(time.Hour)
				pw.Close()
				if res := <-run.result; res.Overdue || res.Code != 200 {
					t.Errorf("result %+v", res)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		// A body that nobody reads does not stop it.
		pr, pw := io.Pipe()
		defer pw.Close()
		release := make(chan struct{})
		run := startTimed(t, &Handler{FirstByte: time.Second}, &Request{Body: pr, ContentLength: 3}, func(w ResponseWriter, r *Request) error {
			<-release
			_, err := r.Body.Read(make([]byte, 1))
			wantLate(t, "Read", err)
			return err
		})
		time.Sleep(time.Second)
		run.wantOver(Complete, page504, "(FirstByte)")
		close(release)
		<-run.result
	})
}

// TestTimeoutEndsReading: a Read of the body that is under way, and the wait of a
// Flush for it, end with the limit; and one that nothing can interrupt holds nothing
// up.
func TestTimeoutEndsReading(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		for name, wait := range map[string]func(w ResponseWriter, r *Request) error{
			"Read":  func(w ResponseWriter, r *Request) error { _, err := r.Body.Read(make([]byte, 1)); return err },
			"Flush": func(w ResponseWriter, r *Request) error { return w.Flush() },
			"Data":  func(w ResponseWriter, r *Request) error { _, err := r.Data.Read(make([]byte, 1)); return err },
		} {
			t.Run(fmt.Sprint(name, " deaf=", deaf), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pr, pw := io.Pipe()
					var src io.Reader = pr
					if deaf {
						src = struct{ io.Reader }{pr}
					}
					run := startTimed(t, &Handler{RunTime: time.Second}, &Request{Body: src, ContentLength: 3, Data: src}, func(w ResponseWriter, r *Request) error {
						w.StartResponse("200 OK", nil)
						err := wait(w, r)
						wantLate(t, name, err)
						return err
					})
					time.Sleep(time.Second)
					run.wantOver(Complete, page504, "(RunTime)")
					pw.Close()
					<-run.result
				})
			})
		}
	}
}

// A slowSink takes nothing until it is told to.
type slowSink struct {
	*textSink
	begun, goOn chan struct{}
}

func (s slowSink) Write(p []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.goOn
	return s.textSink.Write(p)
}

// TestTimeoutWaitsForAWrite: what is being written is written, and not more.
func TestTimeoutWaitsForAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := slowSink{new(textSink), make(chan struct{}), make(chan struct{})}
		h := &Handler{RunTime: time.Second, Log: slog.New(slog.DiscardHandler)}
		result, asked := make(chan Result, 1), make(chan context.Context, 1)
		go func() {
			result <- h.Run(&Request{Env: NewEnviron()}, sink, AppFunc(func(w ResponseWriter, r *Request) error {
				asked <- r.Context()
				w.StartResponse("200 OK", nil)
				n, err := w.Write(make([]byte, 10*timedPiece))
				wantLate(t, "Write", err)
				if n != timedPiece {
					t.Errorf("%d bytes were written, want the %d of one piece", n, timedPiece)
				}
				return err
			}))
		}()
		ctx := <-asked
		<-sink.begun
		<-ctx.Done()
		if len(sink.finished) > 0 {
			t.Error("the sink is used by two goroutines")
		}
		sink.goOn <- struct{}{}
		res := <-result
		if res.End != Truncated || !res.Overdue || res.Bytes != timedPiece {
			t.Errorf("result %+v", res)
		}
	})
}

// TestTimeoutCallsHooks: they get a request of their own, whatever the application does
// to its.
func TestTimeoutCallsHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged []error
		h := &Handler{
			RunTime: time.Second,
			ErrorOutput: func(w ResponseWriter, r *Request, err error) error {
				wantLate(t, "ErrorOutput", err)
				wantLate(t, "its context", context.Cause(r.Context()))
				w.StartResponse("504 Sorry", nil)
				_, err = io.WriteString(w, r.Env.Get("REQUEST_URI"))
				fmt.Fprintln(r.Stderr, "a page")
				return err
			},
			CleanupHeaders: func(r *Request, code int, h *Headers) { h.Set("X-Path", r.Env.Get("REQUEST_URI")) },
			LogError:       func(r *Request, err error, stack []byte) { logged = append(logged, err) },
		}
		done := make(chan struct{})
		run := startTimed(t, h, new(Request), func(w ResponseWriter, r *Request) error {
			for i := 0; ; i++ {
				select {
				case <-done:
					fmt.Fprintln(r.Stderr, "still here")
					panic("overboard")
				default:
					r.Env.Set("REQUEST_URI", fmt.Sprint(i))
					r.Script = "changed"
					time.Sleep(time.Millisecond)
				}
			}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := run.sink.String(), "Status: 504 Sorry\r\nX-Path: /slow\r\nContent-Length: 5\r\n\r\n/slow"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		close(done)
		<-run.result
		if len(logged) != 1 {
			t.Errorf("LogError was called for %v", logged)
		}
		log := run.log.String()
		for _, part := range []string{"a page", "still here", "returned after its time limit", "panic: overboard", "timeout_test.go"} {
			if strings.Count(log, part) != 1 && part != "timeout_test.go" || !strings.Contains(log, part) {
				t.Errorf("log has not one %q: %s", part, log)
			}
		}
	})
}
