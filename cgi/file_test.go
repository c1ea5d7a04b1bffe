package cgi_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/cgi"
)

// blocks calls Next until it fails.
func blocks(f *cgi.File) (lengths []int, text string, err error) {
	for {
		b, err := f.Next()
		if err != nil {
			return lengths, text, err
		}
		lengths = append(lengths, len(b))
		text += string(b)
	}
}

func TestFileBlocks(t *testing.T) {
	broken := errors.New("broken")
	text := strings.Repeat("0123456789", 2000)
	for _, tt := range []struct {
		name    string
		file    cgi.File
		lengths []int
		err     error
	}{
		{"no reader", cgi.File{}, nil, io.EOF},
		{"empty", cgi.File{R: strings.NewReader("")}, nil, io.EOF},
		{"default size", cgi.File{R: strings.NewReader(text)}, []int{8192, 8192, 3616}, io.EOF},
		{"negative size", cgi.File{R: strings.NewReader(text), BlockSize: -1}, []int{8192, 8192, 3616}, io.EOF},
		{"own size", cgi.File{R: strings.NewReader(text), BlockSize: 15000}, []int{15000, 5000}, io.EOF},
		{"even", cgi.File{R: strings.NewReader(text), BlockSize: 10000}, []int{10000, 10000}, io.EOF},
		{"short reads", cgi.File{R: iotest.HalfReader(strings.NewReader("abcdef")), BlockSize: 4}, []int{2, 2, 2}, io.EOF},
		{"end with the last bytes", cgi.File{R: iotest.DataErrReader(strings.NewReader("abc")), BlockSize: 2}, []int{2, 1}, io.EOF},
		{"error", cgi.File{R: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))}, []int{3}, broken},
		{"error with bytes", cgi.File{R: iotest.DataErrReader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))}, []int{3}, broken},
		{"no progress", cgi.File{R: stuck{}}, nil, io.ErrNoProgress},
	} {
		if n := tt.file.Len(); n != -1 {
			t.Errorf("%s: Len is %d", tt.name, n)
		}
		lengths, got, err := blocks(&tt.file)
		if !slices.Equal(lengths, tt.lengths) || err != tt.err {
			t.Errorf("%s: blocks of %d, error %v, want %d, %v", tt.name, lengths, err, tt.lengths, tt.err)
		}
		if n := len(got); n > 6 && got != text {
			t.Errorf("%s: other bytes", tt.name)
		}
	}
}

// stuck never returns anything.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// A file that has grown goes on, as it does in wsgiref.
func TestFileGoesOn(t *testing.T) {
	var r bytes.Buffer
	f := cgi.File{R: &r}
	for _, text := range []string{"one", "two", "three"} {
		r.WriteString(text)
		if _, got, err := blocks(&f); got != text || err != io.EOF {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
	}
}

func TestFileClose(t *testing.T) {
	if err := (&cgi.File{R: strings.NewReader("x")}).Close(); err != nil {
		t.Errorf("of what cannot be closed: %v", err)
	}
	if err := new(cgi.File).Close(); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	broken := errors.New("broken")
	if err := (&cgi.File{R: &closing{err: broken}}).Close(); err != broken {
		t.Errorf("got %v", err)
	}
}

func TestFileWriteTo(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		file  cgi.File
		first string // what Next returns before
		rest  string
		err   error
	}{
		{"whole", cgi.File{R: strings.NewReader("abc")}, "", "abc", nil},
		{"rest", cgi.File{R: strings.NewReader("abcdef"), BlockSize: 2}, "ab", "cdef", nil},
		{"no reader", cgi.File{}, "", "", nil},
		{"end came with the bytes", cgi.File{R: iotest.DataErrReader(strings.NewReader("abc"))}, "abc", "", nil},
		{"error came with the bytes", cgi.File{R: &once{text: "abc", err: broken}}, "abc", "", broken},
		{"error", cgi.File{R: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken))}, "", "abc", broken},
	} {
		if tt.first != "" {
			if b, err := tt.file.Next(); string(b) != tt.first || err != nil {
				t.Errorf("%s: the first block is %q, %v", tt.name, b, err)
			}
		}
		var out strings.Builder
		n, err := tt.file.WriteTo(&out)
		if out.String() != tt.rest || n != int64(len(tt.rest)) || err != tt.err {
			t.Errorf("%s: got %q, %d, %v, want %q, %v", tt.name, out.String(), n, err, tt.rest, tt.err)
		}
	}
}

// once returns its text and its error together, and has nothing more.
type once struct {
	text string
	err  error
}

func (o *once) Read(p []byte) (int, error) {
	n := copy(p, o.text)
	o.text = ""
	return n, o.err
}

// The writer gets the reader itself, so that it can do better than copying.
func TestFileWriteToHandsOver(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var w taker
	f := cgi.File{R: r}
	if n, err := f.WriteTo(&w); n != 3 || err != nil || w.text != "abc" {
		t.Errorf("got %d, %v, %q", n, err, w.text)
	}
	if _, err := r.Stat(); err != nil {
		t.Errorf("WriteTo has closed it: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// A taker wants to be asked to read.
type taker struct{ text string }

func (t *taker) Write([]byte) (int, error) { return 0, errors.New("written to") }

func (t *taker) ReadFrom(r io.Reader) (int64, error) {
	b, err := io.ReadAll(r)
	t.text = string(b)
	return int64(len(b)), err
}
