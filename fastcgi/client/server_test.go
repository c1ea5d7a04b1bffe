package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/client"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// serve serves s until the test ends, and returns a connection to it.
func serve(t testing.TB, network string, s *fastcgi.Server) *client.Conn {
	t.Helper()
	l := testkit.Listen(t, network)
	s.Log = slog.New(slog.DiscardHandler)
	testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
	c, err := client.Dial(t.Context(), network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo answers with its body, and with its data if it has some.
var echo = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	if _, err := io.Copy(w, r.Body); err != nil || r.Data == nil {
		return err
	}
	_, err := io.Copy(w, r.Data)
	return err
})

// post is a request with a body.
func post(id uint16, body io.Reader, length int) *client.Request {
	return &client.Request{ID: id, KeepConn: true, Stdin: body,
		Params: cgi.NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH="+strconv.Itoa(length)).All()}
}

// do returns the body of the response.
func do(c *client.Conn, req *client.Request) (string, error) {
	r, err := c.Do(context.Background(), req)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func TestServerBodies(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		c := serve(t, network, &fastcgi.Server{App: echo})
		for _, size := range []int{0, 1, 8 << 10, 8<<10 + 1, 32 << 10, 100_000, 3 << 20} {
			want := strings.Repeat("0123456789abcde", size/15+1)[:size]
			for range 2 {
				if got, err := do(c, post(0, strings.NewReader(want), size)); got != want || err != nil {
					t.Errorf("%s, %d bytes: %d bytes, %v", network, size, len(got), err)
				}
			}
		}
	}
}

func TestServerRoles(t *testing.T) {
	guard := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		return w.StartResponse("200 OK", []cgi.Field{cgi.Variable("REMOTE_USER", "ali")})
	})
	c := serve(t, "unix", &fastcgi.Server{Authorizer: guard, Filter: echo})
	r, err := c.Do(t.Context(), &client.Request{Role: record.Authorizer, KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Head.Fields; r.Head.Code != 200 || len(f) == 0 || f[0] != cgi.Variable("REMOTE_USER", "ali") {
		t.Errorf("authorizer: %+v", r.Head)
	}
	io.Copy(io.Discard, r)
	r.Close()

	file := strings.Repeat("file", 50_000)
	req := post(0, strings.NewReader("body "), 5)
	req.Role, req.Data = record.Filter, strings.NewReader(file)
	env := cgi.NewEnviron("REQUEST_METHOD=POST", "CONTENT_LENGTH=5", "FCGI_DATA_LENGTH="+strconv.Itoa(len(file)), "FCGI_DATA_LAST_MOD=1")
	req.Params = env.All()
	if got, err := do(c, req); got != "body "+file || err != nil {
		t.Errorf("filter: %d bytes, %v", len(got), err)
	}

	_, err = do(c, &client.Request{KeepConn: true})
	if e, ok := errors.AsType[*client.EndError](err); !ok || e.End.ProtocolStatus != record.UnknownRole {
		t.Errorf("responder: %v", err)
	}
}

func TestServerMultiplexed(t *testing.T) {
	c := serve(t, "unix", &fastcgi.Server{App: echo})
	values, err := c.GetValues(t.Context(), client.MpxsConns, client.MaxReqs, "NO_SUCH")
	if err != nil || values[client.MpxsConns] != "1" || len(values) != 2 {
		t.Errorf("values %v, %v", values, err)
	}
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			for n := range 20 {
				size := (i*7919 + n*104_729) % 300_000
				want := strings.Repeat(string(rune('a'+i)), size)
				if got, err := do(c, post(0, strings.NewReader(want), size)); got != want || err != nil {
					t.Errorf("%d bytes: %d bytes, %v", size, len(got), err)
					return
				}
			}
		})
	}
	g.Wait()
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

// TestServerEarly: a large response comes before anything of a large body is read.
func TestServerEarly(t *testing.T) {
	large := bytes.Repeat([]byte("large"), 1<<20)
	c := serve(t, "unix", &fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := cgi.EnableFullDuplex(w); err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		if _, err := w.Write(large); err != nil {
			return err
		}
		_, err := io.Copy(w, r.Body)
		return err
	})})
	body := strings.Repeat("body", 1<<20)
	if got, err := do(c, post(0, strings.NewReader(body), len(body))); got != string(large)+body || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestServerTruncates(t *testing.T) {
	c := serve(t, "unix", &fastcgi.Server{App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		err := errors.Join(w.StartResponse("200 OK", nil), w.Flush())
		return errors.Join(err, errors.New("on purpose"))
	})})
	_, err := do(c, &client.Request{KeepConn: true})
	if _, ok := errors.AsType[*client.TruncatedError](err); !ok || !errors.Is(err, record.ErrVersion) || c.Err() == nil {
		t.Errorf("error %v; the connection: %v", err, c.Err())
	}
}

// TestServerAborts: the application learns of an abort, and of a context that has ended.
func TestServerAborts(t *testing.T) {
	causes := make(chan error, 1)
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := errors.Join(w.StartResponse("200 OK", nil), w.Flush()); err != nil {
			return err
		}
		<-r.Context().Done()
		causes <- context.Cause(r.Context())
		return nil
	})
	c := serve(t, "unix", &fastcgi.Server{App: app})
	r, err := c.Do(t.Context(), &client.Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Abort(); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("aborted: %v", err)
	}
	r.Close()
	if err := <-causes; !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("the application: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	if r, err = c.Do(ctx, &client.Request{KeepConn: true}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	r.Close()
	if err := <-causes; !errors.Is(err, cgi.ErrAborted) {
		t.Errorf("the application: %v", err)
	}
}

// BenchmarkDo measures small requests on one connection, the server included.
func BenchmarkDo(b *testing.B) {
	c := serve(b, "unix", &fastcgi.Server{App: echo})
	env := cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_NAME=/hello", "SERVER_NAME=example.com")
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.Do(context.Background(), &client.Request{KeepConn: true, Params: env.All()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}
