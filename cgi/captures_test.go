package cgi_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// TestUWSGICaptures: no front-end speaks uwsgi, but what nginx sends by it are CGI
// variables all the same, and the rules for them hold. The FastCGI and SCGI
// captures are fed to their servers, in those packages.
func TestUWSGICaptures(t *testing.T) {
	dir := filepath.Join("testdata", "captures")
	captures, err := cgitest.LoadCaptures(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, capture := range captures {
		if capture.Protocol != "uwsgi" {
			continue
		}
		n++
		t.Run(capture.File, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, capture.File))
			if err != nil {
				t.Fatal(err)
			}
			want := capture.Requests[0]
			env, body := decodeUWSGI(t, data)
			if err := want.CheckVariables(env.Lookup); err != nil {
				t.Error(err)
			}
			if p := (&cgi.Request{Env: env}).FullPath(); p != want.FullPath {
				t.Errorf("path is %q, want %q", p, want.FullPath)
			}
			if l := env.BodyLength(false); l != want.Length {
				t.Errorf("length is %d, want %d", l, want.Length)
			}
			if err := want.CheckBody(body); err != nil {
				t.Error(err)
			}
		})
	}
	if n == 0 {
		t.Error("there are no uwsgi captures")
	}
}

// decodeUWSGI takes a uwsgi packet apart: modifier1, the size of the block (16
// bits, little-endian), modifier2; pairs of strings with 16-bit sizes; the body.
func decodeUWSGI(t *testing.T, b []byte) (*cgi.Environ, []byte) {
	t.Helper()
	size := int(binary.LittleEndian.Uint16(b[1:]))
	block, body := b[4:4+size], b[4+size:]
	next := func() string {
		n := int(binary.LittleEndian.Uint16(block))
		s := string(block[2 : 2+n])
		block = block[2+n:]
		return s
	}
	env := new(cgi.Environ)
	for len(block) > 0 {
		name := next()
		if err := env.Add(name, next()); err != nil {
			t.Fatal(err)
		}
	}
	return env, body
}
