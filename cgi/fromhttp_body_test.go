package cgi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFromHTTPBody(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int64
		vars string
		want string
	}{
		{"of known length", 5, "CONTENT_LENGTH=5", "5 [] hello"},
		{"chunked", -1, "HTTP_TRANSFER_ENCODING=chunked", "-1 [chunked] hello"},
		{"of unknown length", -1, "CONTENT_LENGTH=", "-1 [] hello"},
		{"none", 0, "CONTENT_LENGTH=0", "0 [] "},
	} {
		var got string
		var none bool
		r := &Request{Env: NewEnviron("REQUEST_METHOD=POST", c.vars), Body: strings.NewReader("hello"), ContentLength: c.n}
		serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			none = r.Body == http.NoBody
			got = fmt.Sprint(r.ContentLength, " ", r.TransferEncoding, " ", string(b))
		})))
		if got != c.want || none != (c.n == 0) {
			t.Errorf("%s: got %q, NoBody %v", c.name, got, none)
		}
	}
}

func TestFromHTTPBodyErrors(t *testing.T) {
	r := &Request{Env: NewEnviron("REQUEST_METHOD=POST"), ContentLength: 9,
		Body: io.MultiReader(strings.NewReader("half"), &failing{io.ErrUnexpectedEOF})}
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); string(b) != "half" || err != io.ErrUnexpectedEOF {
			t.Errorf("got %q, %v", b, err)
		}
		r.Body.Close()
		if _, err := r.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("Read after Close = %v", err)
		}
	})))
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// pipeBody is a Body whose Read waits until Close.
type pipeBody struct {
	*io.PipeReader
	reading chan struct{}
	once    sync.Once
}

func (b *pipeBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.reading) })
	return b.PipeReader.Read(p)
}

// A goroutine that a handler leaves behind gets errors, and nothing of what comes
// after.
func TestLeakedGoroutine(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	body := &pipeBody{PipeReader: pr, reading: make(chan struct{})}
	env := NewEnviron("REQUEST_METHOD=POST", "REMOTE_USER=joe")
	r := &Request{Env: env, Body: body, ContentLength: -1}
	var w http.ResponseWriter
	var req *http.Request
	inRead := make(chan error, 1)
	out := serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(rw http.ResponseWriter, rq *http.Request) {
		w, req = rw, rq
		if Env(rq).Get("REMOTE_USER") != "joe" {
			t.Error("Env does not have REMOTE_USER")
		}
		go func() {
			_, err := rq.Body.Read(make([]byte, 1))
			inRead <- err
		}()
		<-body.reading
		io.WriteString(rw, "answer")
	})))
	sent := out.sink.Len()
	if err := <-inRead; err == nil {
		t.Error("the Read under way got something")
	}
	if n, err := req.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("a later Read got something")
	}
	if err := req.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(w, "leaked"); err == nil {
		t.Error("Write succeeds")
	}
	if n, err := io.Copy(w, strings.NewReader("leaked")); n != 0 || err == nil {
		t.Error("Copy succeeds")
	}
	w.WriteHeader(500)
	w.(http.Flusher).Flush()
	c := http.NewResponseController(w)
	for name, err := range map[string]error{"Flush": c.Flush(), "SetReadDeadline": c.SetReadDeadline(time.Time{}), "SetWriteDeadline": c.SetWriteDeadline(time.Time{})} {
		if err == nil {
			t.Errorf("%s succeeds", name)
		}
	}
	if out.sink.Len() != sent {
		t.Error("something was sent")
	}
	if Env(req).Len() != 0 {
		t.Error("Env still has the variables")
	}
}

func TestFromHTTPRemovesUploads(t *testing.T) {
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	f, _ := m.CreateFormFile("file", "name")
	f.Write(make([]byte, 1<<10))
	m.Close()
	var name string
	r := &Request{Env: NewEnviron("REQUEST_METHOD=POST", "CONTENT_TYPE="+m.FormDataContentType()), Body: &b, ContentLength: int64(b.Len())}
	serveWith(t, new(Handler), r, FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
			return
		}
		f, err := r.MultipartForm.File["file"][0].Open()
		if err != nil {
			t.Error(err)
			return
		}
		name = f.(*os.File).Name()
		f.Close()
	})))
	if _, err := os.Stat(name); name == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file %q is left: %v", name, err)
	}
}
