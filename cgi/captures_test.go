package cgi_test

import (
	"encoding/binary"
	"os"
	"path"
	"path/filepath"
	"strings"
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

// TestCapturePaths: the path of each captured request is what the client asked for, in the
// words of the web server. So the policy of that server finds it, and so does PathAuto.
func TestCapturePaths(t *testing.T) {
	captures, err := cgitest.LoadCaptures(os.DirFS(filepath.Join("testdata", "captures")))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, capture := range captures {
		for i := range capture.Requests {
			want := &capture.Requests[i]
			if want.FullPath == "" {
				continue // no application sees it
			}
			n++
			env := new(cgi.Environ)
			for _, v := range want.Vars {
				switch v.Name {
				case "SCRIPT_NAME", "PATH_INFO", "DOCUMENT_URI", "REQUEST_URI":
					if !v.Absent {
						env.Set(v.Name, v.Value)
					}
				}
			}
			policies := []cgi.PathPolicy{cgi.PathAuto}
			switch server, _, _ := strings.Cut(capture.File, "-"); server {
			case "nginx":
				policies = append(policies, cgi.PathNginx)
			case "apache":
				policies = append(policies, cgi.PathApache)
			}
			for _, policy := range policies {
				r := &cgi.Request{Env: env, Paths: policy}
				if got := r.FullPath(); got != want.FullPath {
					t.Errorf("%s, %v: the path is %q, want %q", capture.File, policy, got, want.FullPath)
				}
				if advice, err := r.InspectPath(); advice != "" || err != nil {
					t.Errorf("%s: %q, %v", capture.File, advice, err)
				}
			}
			decoded := strings.ReplaceAll(want.FullPath, "%2F", "/")
			if asked := env.RequestPath(); path.Clean(asked) != path.Clean(decoded) {
				t.Errorf("%s: the client asked for %q, and the path is %q", capture.File, asked, want.FullPath)
			}
		}
	}
	if n < 157 {
		t.Errorf("%d captured requests; there should be 157", n)
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
