package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// A counted connection counts its system calls, as far as they are reads and writes.
type counted struct {
	*script
	reads, writes int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.script.Read(p)
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.script.Write(p)
}

// TestBegin: a small request is one write and one read, and its output has the head.
func TestBegin(t *testing.T) {
	_, s := scripted(stdout(1, "Status: 200 OK\r\n\r\nhello"), stdout(1, ""), ended(1, 3, record.RequestComplete))
	nc := &counted{script: s}
	c := New(nc)
	defer c.Close()
	resp, err := c.Begin(t.Context(), &Request{KeepConn: true, Stdin: strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp)
	if err != nil || string(got) != "Status: 200 OK\r\n\r\nhello" || resp.Head != nil {
		t.Errorf("read %q, %v, head %v", got, err, resp.Head)
	}
	resp.Close()
	if end, ok := resp.End(); !ok || end.AppStatus != 3 || !resp.Sent() || c.Err() != nil {
		t.Errorf("end %v, %v, sent %v, %v", end, ok, resp.Sent(), c.Err())
	}
	if nc.writes != 1 || nc.reads != 1 {
		t.Errorf("%d writes and %d reads", nc.writes, nc.reads)
	}
}

// TestReset: a Response whose request has ended serves another one, and any other does not.
func TestReset(t *testing.T) {
	output := "Status: 200 OK\r\n\r\nhello"
	whole := []string{stdout(1, output), stdout(1, ""), ended(1, 3, record.RequestComplete)}
	begin := func(t *testing.T, r *Response, body io.Reader, replies ...string) {
		c, _ := scripted(replies...)
		t.Cleanup(func() { c.Close() })
		if err := r.Begin(t.Context(), c, &Request{KeepConn: true, Stdin: body}); err != nil {
			t.Fatal(err)
		}
	}
	r := new(Response)
	if !r.Reset() {
		t.Error("a new Response cannot be used")
	}
	for range 2 {
		begin(t, r, nil, whole...)
		if r.Reset() {
			t.Error("a Response that is not read can be used again")
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != output {
			t.Fatalf("read %q, %v", got, err)
		}
		if r.Reset() {
			t.Error("a Response that is not closed can be used again")
		}
		r.Close()
		if end, _ := r.End(); end.AppStatus != 3 || !r.Reset() {
			t.Errorf("%v, and a Response that has ended cannot be used again", end)
		}
	}
	unfit := map[string]func(t *testing.T, r *Response){
		"not ended": func(t *testing.T, r *Response) { begin(t, r, nil, whole[0]) },
		"watched":   func(t *testing.T, r *Response) { begin(t, r, nil, whole...); r.Watch(); io.ReadAll(r) },
		"streaming": func(t *testing.T, r *Response) {
			begin(t, r, struct{ io.Reader }{strings.NewReader("body")}, whole...)
			io.ReadAll(r)
		},
	}
	for name, use := range unfit {
		t.Run(name, func(t *testing.T) {
			r := new(Response)
			use(t, r)
			r.Close()
			if r.Reset() {
				t.Error("it can be used again")
			}
		})
	}
}

// TestWatch: the context of a small request counts once it is watched, and that of a body at
// once.
func TestWatch(t *testing.T) {
	for _, small := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			go io.Copy(io.Discard, far)
			c := New(near)
			defer c.Close()
			ctx, cancel := context.WithCancelCause(t.Context())
			var body io.Reader
			if !small {
				body = io.MultiReader(strings.NewReader("body"))
			}
			resp, err := c.Begin(ctx, &Request{Stdin: body})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Close()
			resp.SetReadDeadline(time.Now().Add(time.Second))
			gone := errors.New("gone")
			cancel(gone)
			want := os.ErrDeadlineExceeded
			if !small {
				want = gone
			}
			if _, err := resp.Read(make([]byte, 1)); !errors.Is(err, want) {
				t.Errorf("small %v: read: %v, want %v", small, err, want)
			}
			resp.SetReadDeadline(time.Time{})
			resp.Watch()
			if _, err := resp.Read(make([]byte, 1)); !errors.Is(err, gone) {
				t.Errorf("small %v: watched, read: %v", small, err)
			}
		})
	}
}

// TestReadDeadline: a deadline that has passed loses nothing, and one may follow the other.
func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := New(near)
		defer c.Close()
		go io.Copy(io.Discard, far)
		resp, err := c.Begin(t.Context(), &Request{KeepConn: true})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Close()
		all := stdout(1, "hello") + ended(1, 0, record.RequestComplete)
		go func() {
			for i := range len(all) {
				time.Sleep(time.Second)
				io.WriteString(far, all[i:i+1])
			}
		}()
		start := time.Now()
		buf := make([]byte, 10)
		resp.SetReadDeadline(start.Add(time.Hour))
		n, err := resp.Read(buf)
		if err != nil || string(buf[:n]) != "hello" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		for passed := 0; ; passed++ { // each is earlier than the first one
			until := time.Now().Add(1700 * time.Millisecond)
			resp.SetReadDeadline(until)
			n, err := resp.Read(buf)
			if n > 0 || err == io.EOF && passed < 3 {
				t.Fatalf("%q, %v after %d deadlines", buf[:n], err, passed)
			}
			if err == io.EOF {
				break
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Equal(until) {
				t.Fatalf("error %v at %v, want the deadline at %v", err, time.Now(), until)
			}
		}
		if d := time.Since(start); d != time.Duration(len(all))*time.Second {
			t.Errorf("the end came after %v", d)
		}
	})
}

// A kept stream notes whether it was used.
type keptStream struct {
	io.Reader
	used bool
}

func (s *keptStream) Read(p []byte) (int, error) {
	s.used = true
	return s.Reader.Read(p)
}

func (s *keptStream) Close() error {
	s.used = true
	return nil
}

// TestNotSent: a request of which nothing could be sent has its streams as they were.
func TestNotSent(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		near, far := testkit.Pair(t, network)
		far.Close()
		testkit.Until(t, "the end shows", func() bool { _, err := near.Write([]byte{0}); return err != nil })
		c := New(near)
		defer c.Close()
		stream := &keptStream{Reader: strings.NewReader("body")}
		if _, err := c.Begin(t.Context(), &Request{Stdin: stream}); !errors.Is(err, ErrNotSent) || stream.used {
			t.Errorf("%s: error %v, the stream was used: %v", network, err, stream.used)
		}
		if c.Err() == nil {
			t.Error("the connection takes another request")
		}
	}
}

// TestMention: an application that has all of a request is told that it was given up.
func TestMention(t *testing.T) {
	abort := string(record.AppendRecord(nil, record.AbortRequest, 1, nil))
	for _, whole := range []bool{true, false} {
		near, far := testkit.Pair(t, "unix")
		c := New(near)
		req := &Request{Stdin: strings.NewReader("body")}
		stalled, upload := io.Pipe()
		if !whole {
			req.Stdin = stalled
		}
		resp, err := c.Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Close()
		upload.Close()
		got, err := io.ReadAll(far)
		if err != nil || bytes.HasSuffix(got, []byte(abort)) != whole {
			t.Errorf("whole %v: the application has %q, %v", whole, got, err)
		}
	}
}
