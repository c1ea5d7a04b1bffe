package validate_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/validate"
)

// TestWebServers: what real web servers send keeps the rules, once a Mux has settled
// the path, but where it would mislead an application: nginx passes a body that it
// does not buffer with the length of what has arrived.
func TestWebServers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "testdata", "captures", "*-scgi-*.bin"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	misled := map[string]string{
		"nginx-scgi-unbuffered-postabort.bin": "V4",
		"nginx-scgi-unbuffered-postlate.bin":  "V4",
		"nginx-scgi-unbuffered-postslow.bin":  "V4",
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var mux cgi.Mux
			if err := mux.Mount("/", &validate.App{App: hello, Warn: func(*validate.Warning) {}}); err != nil {
				t.Fatal(err)
			}
			r := &cgi.Request{Env: decodeSCGI(t, data), Body: strings.NewReader(""), Stderr: new(bytes.Buffer)}
			res := new(cgi.Handler).Run(r, new(textSink), &mux)
			var e *validate.Error
			rule := ""
			if errors.As(res.Err, &e) {
				rule = e.Rule
			}
			if rule != misled[filepath.Base(file)] || e == nil && res.Err != nil {
				t.Errorf("error %v", res.Err)
			}
		})
	}
}

// decodeSCGI takes the netstring of variables apart.
func decodeSCGI(t *testing.T, data []byte) *cgi.Environ {
	t.Helper()
	size, rest, _ := bytes.Cut(data, []byte(":"))
	n, err := strconv.Atoi(string(size))
	if err != nil || n > len(rest) {
		t.Fatalf("netstring of %q bytes", size)
	}
	env := new(cgi.Environ)
	for block := string(rest[:n]); block != ""; {
		var name, value string
		name, block, _ = strings.Cut(block, "\x00")
		value, block, _ = strings.Cut(block, "\x00")
		if err := env.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return env
}
