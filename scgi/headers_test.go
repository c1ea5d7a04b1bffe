package scgi

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
)

var headersTests = []struct {
	in   string
	want []string
	err  error
	text string
}{
	{in: "", want: []string{}},
	{in: "A\x001\x00", want: []string{"A=1"}},
	{in: "A\x00\x00", want: []string{"A="}},
	{in: "A\x00\x00B\x00\x00", want: []string{"A=", "B="}},
	{in: "CONTENT_LENGTH\x0027\x00SCGI\x001\x00", want: []string{"CONTENT_LENGTH=27", "SCGI=1"}},
	{in: "A=B\x00=C\x00", want: []string{"A=B==C"}},
	{in: "\x01\xff\x00\x01\x7f\x80\xfe\xff\x00", want: []string{"\x01\xff=\x01\x7f\x80\xfe\xff"}},
	{in: "HTTP_COOKIE\x00a=1\x00HTTP_COOKIE\x00b=2\x00", want: []string{"HTTP_COOKIE=a=1; b=2"}},
	{in: "A", err: ErrMalformed, text: "does not end in a NUL"},
	{in: "A\x001", err: ErrMalformed, text: "does not end in a NUL"},
	{in: "A\x00", err: ErrMalformed, text: "has no value"},
	{in: "A\x001\x00B\x00", err: ErrMalformed, text: `"B", has no value`},
	{in: "\x00", err: ErrMalformed, text: "has no value"},
	{in: "\x001\x00", err: cgi.ErrEmptyName, text: "without a name"},
	{in: "A\x001\x00\x00\x00", err: ErrMalformed, text: "without a name"},
	{in: "A\x001\x00B\x002\x00C\x003\x00D\x004\x00", err: ErrTooLarge, text: "more than 3 variables"},
}

func TestG3HeaderBlock(t *testing.T) {
	for _, tt := range headersTests {
		var env cgi.Environ
		err := ParseHeaders(&env, tt.in, 3)
		if tt.err != nil {
			if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) || env.Len() != 0 {
				t.Errorf("%q: error %v with %q, want %v (%s) and nothing", tt.in, err, env.Strings(), tt.err, tt.text)
			}
			continue
		}
		if err != nil || !slices.Equal(env.Strings(), tt.want) {
			t.Errorf("%q: %q, error %v, want %q", tt.in, env.Strings(), err, tt.want)
		}
	}
}

func TestG15EveryByteButNUL(t *testing.T) {
	var all []byte
	for c := 1; c < 256; c++ {
		all = append(all, byte(c))
	}
	block := string(all) + "\x00" + string(all) + "\x00"
	var env cgi.Environ
	if err := ParseHeaders(&env, block, 1); err != nil {
		t.Fatal(err)
	}
	if got := env.Get(string(all)); got != string(all) {
		t.Errorf("value %q", got)
	}
}

func TestAppendHeaders(t *testing.T) {
	env := cgi.NewEnviron("A=1", "SCGI=7", "EMPTY=", "CONTENT_LENGTH=9", "B=\xff")
	got, err := AppendHeaders([]byte("x"), env, 3)
	want := "xCONTENT_LENGTH\x003\x00SCGI\x001\x00A\x001\x00EMPTY\x00\x00B\x00\xff\x00"
	if err != nil || string(got) != want {
		t.Errorf("%q, error %v, want %q", got, err, want)
	}
	for value, want := range map[string]error{"a\x00b": cgi.ErrNUL, "\x00": cgi.ErrNUL} {
		var env cgi.Environ
		env.Set("A", "1")
		env.Set("B", value)
		if got, err := AppendHeaders([]byte("x"), &env, 0); !errors.Is(err, want) || string(got) != "x" {
			t.Errorf("value %q: %q, error %v, want %v", value, got, err, want)
		}
	}
	var nameless cgi.Environ
	nameless.Set("", "1")
	if _, err := AppendHeaders(nil, &nameless, 0); !errors.Is(err, cgi.ErrEmptyName) {
		t.Errorf("a variable without a name: %v", err)
	}
}

func FuzzHeaders(f *testing.F) {
	for _, tt := range headersTests {
		f.Add(tt.in)
	}
	f.Add("CONTENT_LENGTH\x0027\x00SCGI\x001\x00REQUEST_METHOD\x00POST\x00REQUEST_URI\x00/deepthought\x00")
	f.Fuzz(func(t *testing.T, block string) {
		var env cgi.Environ
		if err := ParseHeaders(&env, block, 1000); err != nil {
			if env.Len() != 0 {
				t.Fatalf("variables %q with error %v", env.Strings(), err)
			}
			return
		}
		encoded, err := AppendHeaders(nil, &env, 5)
		if err != nil {
			t.Fatalf("%q cannot be encoded: %v", env.Strings(), err)
		}
		var again cgi.Environ
		if err := ParseHeaders(&again, string(encoded), 1002); err != nil {
			t.Fatalf("%q: %v", encoded, err)
		}
		if err := checkHeaders(&again); err != nil {
			t.Fatal(err)
		}
		want := []string{"CONTENT_LENGTH=5", "SCGI=1"}
		pairs := 0
		for name, value := range env.All() {
			pairs += len(name) + len(value) + 2
			if name != "CONTENT_LENGTH" && name != "SCGI" {
				want = append(want, name+"="+value)
			}
		}
		if got := again.Strings(); !slices.Equal(got, want) {
			t.Fatalf("%q became %q", want, got)
		}
		// Where no name was repeated, the bytes themselves come back.
		if pairs == len(block) && env.Len() == strings.Count(block, "\x00")/2 && string(blockOf(&env)) != block {
			t.Fatalf("%q became %q", block, blockOf(&env))
		}
		n, err := strconv.Atoi(again.Get("CONTENT_LENGTH"))
		if n != 5 || err != nil {
			t.Fatalf("CONTENT_LENGTH %q", again.Get("CONTENT_LENGTH"))
		}
	})
}

// blockOf returns the header block that has env's variables.
func blockOf(env *cgi.Environ) []byte {
	var b []byte
	for name, value := range env.All() {
		b = append(append(b, name...), 0)
		b = append(append(b, value...), 0)
	}
	return b
}
