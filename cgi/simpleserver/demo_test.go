package simpleserver

import (
	"os"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// A page is a Sink that keeps what it gets.
type page struct {
	status string
	fields []cgi.Field
	body   []byte
	end    cgi.Outcome
}

func (p *page) WriteHead(h *cgi.Head) error {
	p.status, p.fields = h.Status, append([]cgi.Field(nil), h.Fields...)
	return nil
}

func (p *page) Write(b []byte) (int, error) {
	p.body = append(p.body, b...)
	return len(b), nil
}

func (p *page) Flush() error { return nil }

func (p *page) Finish(o cgi.Outcome) error {
	p.end = o
	return nil
}

// TestDemoApp compares with what Python's wsgiref.simple_server.demo_app printed
// for the same variables: testdata/demo_app.txt is its output, byte for byte.
func TestDemoApp(t *testing.T) {
	every := make([]byte, 0, 255)
	for c := 1; c < 256; c++ {
		every = append(every, byte(c))
	}
	env := new(cgi.Environ)
	for _, v := range [][2]string{
		{"EVERY_BYTE", string(every)}, {"PLAIN", "a b"}, {"SINGLE", "it's"}, {"DOUBLE", `say "x"`},
		{"BOTH", `'"`}, {"EMPTY", ""}, {"HTTP_X", "caf\xe9"}, {"_low", "1"}, {"A\xe9", "z"}, {"Z", `back\slash`},
	} {
		env.Set(v[0], v[1])
	}
	want, err := os.ReadFile("testdata/demo_app.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got page
	res := new(cgi.Handler).Run(&cgi.Request{Env: env}, &got, cgi.AppFunc(DemoApp))
	if res.Err != nil || got.end.End != cgi.Complete {
		t.Fatalf("ended %v: %v", got.end.End, res.Err)
	}
	if got.status != "200 OK" {
		t.Errorf("status %q; want 200 OK", got.status)
	}
	if f := got.fields[0]; f.Name != "Content-Type" || f.Value != "text/plain; charset=utf-8" {
		t.Errorf("first field %+v", f)
	}
	if string(got.body) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.body, want)
	}
}
