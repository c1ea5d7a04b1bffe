package files

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// An answer is what came of a request.
type answer struct {
	cgi.Result
	cgitest.Recorder
	log bytes.Buffer
}

// ask makes a request of an App. The variables replace those of a GET.
func ask(app cgi.App, vars ...string) *answer {
	a := new(answer)
	h := cgi.Handler{Log: slog.New(slog.NewTextHandler(&a.log, nil))}
	env := cgi.NewEnviron(append([]string{"REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1"}, vars...)...)
	a.Result = h.Run(&cgi.Request{Env: env, Body: http.NoBody}, a, app)
	return a
}

// get asks for a path.
func get(app cgi.App, path string, vars ...string) *answer {
	return ask(app, append([]string{"SCRIPT_NAME=", "PATH_INFO=" + path}, vars...)...)
}

func (a *answer) want(t *testing.T, what string, code int, body string) {
	t.Helper()
	if a.Code != code || a.Head.Code != code || a.End != cgi.Complete {
		t.Errorf("%s: status %d, %v, want %d (%v)", what, a.Code, a.End, code, a.Err)
	}
	if body != "" && a.Body.String() != body {
		t.Errorf("%s: got %q, want %q", what, a.Body.String(), body)
	}
}

// modified is when all files were, unless a test says otherwise.
var modified = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

const lastModified = "Thu, 02 Jan 2020 03:04:05 GMT"

// newTree makes a directory of files: their names and what they hold. A name that
// ends in a slash is a directory.
func newTree(t *testing.T, content ...string) *App {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "public")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(content); i += 2 {
		write(t, filepath.Join(dir, filepath.FromSlash(content[i])), strings.HasSuffix(content[i], "/"), content[i+1])
	}
	return &App{Dir: dir}
}

func write(t *testing.T, path string, isDir bool, content string) {
	t.Helper()
	if isDir {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, modified, modified); err != nil {
		t.Fatal(err)
	}
}
