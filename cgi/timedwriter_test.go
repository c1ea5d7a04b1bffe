package cgi

import (
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestTimedWriterIsWhole: it has every ability of the writer that it stands in front of.
func TestTimedWriterIsWhole(t *testing.T) {
	inner, outer := reflect.TypeFor[*response](), reflect.TypeFor[*timedWriter]()
	for i := range inner.NumMethod() {
		m := inner.Method(i)
		if o, ok := outer.MethodByName(m.Name); !ok || o.Type.NumIn() != m.Type.NumIn() {
			t.Errorf("it has no %s", m.Name)
		}
	}
}

// TestTimeoutOfWSGI: the abilities that package cgi itself uses are there.
func TestTimeoutOfWSGI(t *testing.T) {
	h := &Handler{RunTime: time.Hour}
	big := strings.Repeat("x", 100_000)
	r := serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, WSGI(func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", nil, nil)
		return Blocks([]byte(big)), err
	}))
	r.want(t, Complete, "Status: 200 OK\r\nContent-Length: 100000\r\n\r\n"+big)

	h.SendFile = func(w ResponseWriter, f *File) (bool, error) {
		_, err := io.Copy(w, f.R)
		return true, err
	}
	file := WSGI(func(env *Environ, start StartResponse) (Body, error) {
		_, err := start("200 OK", nil, nil)
		return &File{R: strings.NewReader("a file")}, err
	})
	serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, file).
		want(t, Complete, "Status: 200 OK\r\nContent-Length: 6\r\n\r\na file")
	h.SendFile = func(w ResponseWriter, f *File) (bool, error) {
		io.WriteString(w, "x")
		return false, nil
	}
	if r := serveWith(t, h, &Request{Env: NewEnviron("REQUEST_METHOD=GET")}, file); r.result.Err != errSendFile {
		t.Errorf("error %v, want that SendFile lied", r.result.Err)
	}
}
