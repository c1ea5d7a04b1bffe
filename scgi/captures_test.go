package scgi

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

// TestCaptures feeds to a server what real web servers sent, and compares what the
// application sees with what is known of the requests.
func TestCaptures(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "cgi", "testdata", "captures")
	captures, err := cgitest.LoadCaptures(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range captures {
		capture := &captures[i]
		if capture.Protocol != "scgi" {
			continue
		}
		n++
		t.Run(capture.File, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, capture.File))
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(b)) != capture.Bytes || len(capture.Requests) != 1 {
				t.Fatalf("%d bytes, %d requests, want %d and 1", len(b), len(capture.Requests), capture.Bytes)
			}
			want := &capture.Requests[0]
			env := checkBlock(t, b, want)
			for _, network := range []string{"unix", "tcp"} {
				checkCapture(t, network, b, env, want)
			}
		})
	}
	if n == 0 {
		t.Error("there are no captures of SCGI")
	}
}

// checkBlock compares the pairs as they stand in the bytes, and returns the
// variables.
func checkBlock(t *testing.T, b []byte, want *cgitest.CaptureRequest) *cgi.Environ {
	t.Helper()
	block, _, err := ParseNetstring(b, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if len(block) != want.Block {
		t.Errorf("block of %d bytes, want %d", len(block), want.Block)
	}
	parts := strings.Split(string(block), "\x00")
	var pairs [][2]string
	for i := 0; i+1 < len(parts); i += 2 {
		pairs = append(pairs, [2]string{parts[i], parts[i+1]})
	}
	if err := want.CheckPairs(pairs); err != nil {
		t.Error(err)
	}
	env := new(cgi.Environ)
	if err := ParseHeaders(env, string(block), 1000); err != nil {
		t.Error(err)
	}
	if err := want.CheckVariables(env.Lookup); err != nil {
		t.Error(err)
	}
	return env
}

// checkCapture compares what an application sees.
func checkCapture(t *testing.T, network string, b []byte, sent *cgi.Environ, want *cgitest.CaptureRequest) {
	t.Helper()
	runs := make(chan struct{}, 1)
	s := serve(t, network, &Server{HalfClose: true, App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		defer func() { runs <- struct{}{} }()
		if r.Env.Get("HTTP_PROXY") != "" {
			t.Error("HTTP_PROXY reached the application")
		}
		sent.Del("HTTP_PROXY")
		if got, want := r.Env.Strings(), sent.Strings(); !slices.Equal(got, want) {
			t.Errorf("variables %q, want %q", got, want)
		}
		if got := r.FullPath(); got != want.FullPath {
			t.Errorf("full path %q, want %q", got, want.FullPath)
		}
		if r.ContentLength != want.Length {
			t.Errorf("length %d, want %d", r.ContentLength, want.Length)
		}
		body, err := io.ReadAll(r.Body)
		if errors.Is(err, io.ErrUnexpectedEOF) != want.Truncated || err != nil && !want.Truncated {
			t.Errorf("the body ended with %v, truncated is %v", err, want.Truncated)
		}
		if err := want.CheckBody(body); err != nil {
			t.Error(err)
		}
		return text(w, "ok")
	})})
	c := s.dial(t)
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.Write(b)
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	answer := c.answer()
	testkit.Receive(t, "sending", written)
	if want.Status != 0 {
		if !strings.HasPrefix(answer, "Status: ") || len(runs) > 0 {
			t.Errorf("%q, want a refusal with %d", answer, want.Status)
		}
		return
	}
	wantStatus(t, answer, "200 OK")
	if !strings.Contains(string(b), "REQUEST_METHOD\x00HEAD\x00") {
		wantBody(t, answer, "ok")
	}
	testkit.Receive(t, "the application", runs)
}
