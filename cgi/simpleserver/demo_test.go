package simpleserver

import (
	"os"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

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
	var got cgitest.Recorder
	res := new(cgi.Handler).Run(&cgi.Request{Env: env}, &got, cgi.AppFunc(DemoApp))
	if res.Err != nil || got.Outcome.End != cgi.Complete {
		t.Fatalf("ended %v: %v", got.Outcome.End, res.Err)
	}
	if got.Head.Status != "200 OK" {
		t.Errorf("status %q; want 200 OK", got.Head.Status)
	}
	if f := got.Head.Fields[0]; f.Name != "Content-Type" || f.Value != "text/plain; charset=utf-8" {
		t.Errorf("first field %+v", f)
	}
	if got.Body.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.Body.String(), want)
	}
}
