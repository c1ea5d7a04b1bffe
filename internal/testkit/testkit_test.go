package testkit

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// A failing is a test that may fail: what it was told last.
type failing struct {
	testing.TB
	said string
}

func (*failing) Helper() {}

func (f *failing) Errorf(format string, args ...any) { f.said = fmt.Sprintf(format, args...) }

func (f *failing) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// fails runs f as a test, and returns what failed it, or "".
func fails(t *testing.T, f func(t testing.TB)) string {
	inner := &failing{TB: t}
	var test sync.WaitGroup
	test.Go(func() { f(inner) })
	test.Wait()
	return inner.said
}

func TestReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ch := make(chan int, 1)
		ch <- 7
		if n := Receive(t, "a value", ch); n != 7 {
			t.Errorf("got %d, want 7", n)
		}
		if said := fails(t, func(t testing.TB) { Receive(t, "a value", ch) }); said != "a value: nothing happened for 1m0s" {
			t.Errorf("it failed with %q", said)
		}
		time.AfterFunc(Patience-1, func() { close(ch) })
		if said := fails(t, func(t testing.TB) { Receive(t, "the end", ch) }); said != "" {
			t.Errorf("it failed with %q", said)
		}
	})
}

func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		after := func(d time.Duration) func() bool { return func() bool { return time.Since(start) >= d } }
		Until(t, "the present", after(0))
		if d := time.Since(start); d != 0 {
			t.Errorf("it waited %v for what was true", d)
		}
		Until(t, "the future", after(Patience-time.Second))
		if said := fails(t, func(t testing.TB) { Until(t, "the end", after(time.Hour)) }); said != "the end: not true after 1m0s" {
			t.Errorf("it failed with %q", said)
		}
		if d := time.Since(start); d > 2*Patience {
			t.Errorf("it gave up after %v", d)
		}
	})
}

func TestLog(t *testing.T) {
	var l Log
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() { l.Logger().Info("hello") })
	}
	_ = l.String() // for the race detector
	writers.Wait()
	if n := strings.Count(l.String(), "msg=hello\n"); n != 4 {
		t.Errorf("%d lines, want 4:\n%s", n, l.String())
	}
	if l.Reset(); l.String() != "" {
		t.Errorf("after Reset it has %q", l.String())
	}
}

var errClosed = errors.New("closed")

// A greeter is a Server that greets one client, and then waits to be closed.
type greeter struct {
	closed chan struct{}
	err    error // of Serve
}

func (g *greeter) Serve(l net.Listener) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	io.WriteString(c, "hello")
	c.Close()
	<-g.closed
	return g.err
}

func (g *greeter) Close() error {
	close(g.closed)
	return nil
}

func TestServe(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		var l net.Listener
		t.Run(network, func(t *testing.T) {
			l = Listen(t, network)
			Serve(t, &greeter{make(chan struct{}), fmt.Errorf("%w in the end", errClosed)}, l, errClosed)
			if b, err := io.ReadAll(Dial(t, l.Addr())); string(b) != "hello" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
		})
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is left open: %v", network, err)
		}
	}
	var inner *failing
	t.Run("another error", func(t *testing.T) {
		inner = &failing{TB: t}
		l := Listen(t, "tcp")
		Serve(inner, &greeter{make(chan struct{}), io.EOF}, l, errClosed)
		Dial(t, l.Addr())
	})
	if inner.said != "Serve returned EOF, want closed" {
		t.Errorf("it failed with %q", inner.said)
	}
}

func TestPair(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		near, far := Pair(t, network)
		io.WriteString(near, "hello")
		near.Close()
		if b, err := io.ReadAll(far); string(b) != "hello" || err != nil {
			t.Errorf("%s: got %q, %v", network, b, err)
		}
	}
}

func TestPython(t *testing.T) {
	const upper = "import sys; print(sys.stdin.read().upper(), *sys.argv[1:])"
	if out := Python(t, []byte("hello"), "-c", upper, "x"); strings.TrimSpace(string(out)) != "HELLO x" {
		t.Errorf("got %q", out)
	}
	if said := fails(t, func(t testing.TB) { Python(t, nil, "-c", "1/0") }); !strings.Contains(said, "ZeroDivisionError") {
		t.Errorf("it failed with %q", said)
	}
	if s := Latin1("a\xff"); s != "a\u00ff" {
		t.Errorf("got %q", s)
	}
}

func TestFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("sockets have no files on Windows")
	}
	var before int
	var f *os.File
	t.Run("open", func(t *testing.T) {
		l := Listen(t, "tcp")
		before = Descriptors(t)
		f = File(t, l)
		if after := Descriptors(t); runtime.GOOS == "linux" && after != before+1 {
			t.Errorf("%d descriptors, want %d", after, before+1)
		}
		again, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if again.Addr().String() != l.Addr().String() {
			t.Errorf("it listens on %v, want %v", again.Addr(), l.Addr())
		}
	})
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the file is left open: %v", err)
	}
}

func TestAlone(t *testing.T) {
	const variable = "GATEHOUSE_TEST_PARENT"
	if os.Getenv(variable) == "" {
		t.Setenv(variable, fmt.Sprint(os.Getpid()))
	}
	if !Alone(t, nil) {
		return
	}
	if parent := os.Getenv(variable); parent != fmt.Sprint(os.Getppid()) {
		t.Errorf("the parent is %d, want %s", os.Getppid(), parent)
	}
}

func TestCodeBlocks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	page := "# Title\n\n    one\n      two\n\nText:\n\n## Part `x`\n\n```sh\n# no heading\n    four\n```\n    five\n"
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []CodeBlock{{"Title", "", "one\n  two\n"}, {"Part `x`", "sh", "# no heading\n    four\n"}, {"Part `x`", "", "five\n"}}
	if got := CodeBlocks(t, file); !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestGoTestsDifferences(t *testing.T) {
	g := &GoTests{Without: []string{"TestInternal", "table"}}
	results := map[string]string{"TestA": "pass", "TestB": "fail", "TestC": "fail", "TestC/sub": "fail", "TestC/other": "pass", "TestD": "skip"}
	const listed = "| `TestB` | why |\n| `TestC/sub` | why |\n| `TestD` | why |\n| `TestInternal` | not run: internal |\n"
	for _, c := range []struct{ page, want string }{
		{listed, ""},
		{listed + "| `TestA` | why |\n", "TestA is listed, and passes, or does for itself: why"},
		{listed + "| `TestC` | why |\n", "TestC is listed, and passes, or does for itself: why"},
		{listed + "| `TestE` | why |\n", "TestE is listed, and there is none"},
		{strings.Replace(listed, "| `TestB` | why |\n", "", 1), "TestB is not listed: fail"},
		{strings.Replace(listed, "| `TestD` | why |\n", "", 1), "TestD is not listed: skip"},
		{strings.Replace(listed, "`TestB` | why", "`TestB` |", 1), "TestB is listed without a reason"},
		{strings.Replace(listed, "not run: ", "", 1), "TestInternal is not run, and not listed so"},
	} {
		if got := strings.Join(g.differences(c.page, results), "; "); got != c.want {
			t.Errorf("%q: %q, want %q", c.page, got, c.want)
		}
	}
}

func TestGoTestsEdit(t *testing.T) {
	g := &GoTests{Import: "example/ours", Type: "Server", Without: []string{"TestB", "table"}, Edits: []GoEdit{{Old: "first", New: "second"}, {Old: "third"}}}
	seen := make(map[string]bool)
	got := g.edit(t, "x_test.go", `package p

import (
	"bytes"
	"strings"
	"testing"
)

var table = []int{1}

// TestB is left out.
func TestB(t *testing.T) { bytes.Clone(table) }

func TestA(t *testing.T) { strings.Clone("first") }
`, seen)
	for _, want := range []string{`import . "example/ours"`, "var _ *Server", `strings.Clone("second")`, `"strings"`, `"testing"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, unwanted := range []string{"bytes", "table", "func TestB", "first"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("%q is left in\n%s", unwanted, got)
		}
	}
	if !seen["first"] || seen["third"] || !seen["TestB"] || !seen["table"] {
		t.Errorf("seen are %v", seen)
	}
}

func TestExported(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go":      "package p\nfunc F(a, b int, c ...string) (n int, err error) { return }\nfunc (T) M() {}\nfunc f() {}\ntype T struct{}\nvar V, w = 1, 2\nconst C = 1\n",
		"a_test.go": "package p\nfunc TestF() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"F": "func(int, int, ...string)(int, error)", "T": "type struct{}", "V": "var", "C": "const"}
	if got := Exported(t, dir); !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if said := fails(t, func(t testing.TB) { Exported(t, filepath.Join(dir, "none")) }); !strings.HasPrefix(said, "no Go files in ") {
		t.Errorf("a folder that is not there: %q", said)
	}
}
