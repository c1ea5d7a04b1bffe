package iis

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

// run runs a for one request, and returns the result and the answer.
func run(a cgi.App, policy cgi.PathPolicy, vars ...string) (cgi.Result, string) {
	r := &cgi.Request{Env: cgi.NewEnviron(vars...), Body: http.NoBody, Paths: policy}
	r.SetContext(context.Background())
	s := new(cgitest.Recorder)
	h := cgi.Handler{Log: slog.New(slog.DiscardHandler)}
	return h.Run(r, s, a), s.String()
}

// tell shows the path as an application sees it.
func tell(got *string) cgi.AppFunc {
	return func(w cgi.ResponseWriter, r *cgi.Request) error {
		*got = fmt.Sprintf("%s|%s|%s", r.Env.Get("SCRIPT_NAME"), r.Env.Get("PATH_INFO"), r.FullPath())
		return w.StartResponse("200 OK", nil)
	}
}

func TestHandler(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler Handler
		vars    string
		want    string // "" for 404
	}{
		{"zero value, repeated", Handler{}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app|/x|/app/x"},
		{"zero value, right", Handler{}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/app/x", "/app|/app/x|/app/app/x"},
		{"strip", Handler{PathInfo: Strip}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/app/x", "/app|/x|/app/x"},
		{"keep", Handler{PathInfo: Keep}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app|/app/x|/app/app/x"},
		{"nothing below", Handler{}, "SCRIPT_NAME=/app|PATH_INFO=/app|REQUEST_URI=/app", "/app||/app"},
		{"path=*", Handler{}, "SCRIPT_NAME=/app/x|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app/x||/app/x"},
		{"path=*, script name", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/app/x/y|PATH_INFO=/app/x/y|REQUEST_URI=/app/x/y", "/app|/x/y|/app/x/y"},
		{"path=*, script name, a slash at its end", Handler{ScriptName: "/app/"}, "SCRIPT_NAME=/app/x|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app|/x|/app/x"},
		{"path=*, the root", Handler{ScriptName: "/"}, "SCRIPT_NAME=/app/x|PATH_INFO=/app/x|REQUEST_URI=/app/x", "|/app/x|/app/x"},
		{"script name alone", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/app|PATH_INFO=/app|REQUEST_URI=/app", "/app||/app"},
		{"script name, divided elsewhere", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/app/run.exe|PATH_INFO=/x|REQUEST_URI=/app/run.exe/x", "/app|/run.exe/x|/app/run.exe/x"},
		{"script name in another case", Handler{ScriptName: "/App"}, "SCRIPT_NAME=/aPP|PATH_INFO=/aPP/x|REQUEST_URI=/aPP/x", "/aPP|/x|/aPP/x"},
		{"script name, no segment boundary", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/application|PATH_INFO=/application|REQUEST_URI=/application", ""},
		{"script name, another path", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/x|PATH_INFO=/x|REQUEST_URI=/x", ""},
		{"script name, a shorter path", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/ap|PATH_INFO=|REQUEST_URI=/ap", ""},
		{"script name, mode keep", Handler{ScriptName: "/app", PathInfo: Keep}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app|/app/x|/app/app/x"},
		{"restored", Handler{}, "SCRIPT_NAME=/app|PATH_INFO=/app/???|REQUEST_URI=/app/%D1%8F%D1%8F%D1%8F", "/app|/яяя|/app/яяя"},
		{"restored, mode keep", Handler{PathInfo: Keep}, "SCRIPT_NAME=/app|PATH_INFO=/?|REQUEST_URI=/app/%D1%8F", "/app|/я|/app/я"},
		{"restored, path=*, script name", Handler{ScriptName: "/app"}, "SCRIPT_NAME=/app/?|PATH_INFO=/app/?|REQUEST_URI=/app/%D1%8F", "/app|/я|/app/я"},
		{"original URL, not asked for", Handler{}, "SCRIPT_NAME=/run.exe|PATH_INFO=/run.exe/x|REQUEST_URI=/run.exe/x|HTTP_X_ORIGINAL_URL=/nice", "/run.exe|/x|/run.exe/x"},
		{"original URL", Handler{OriginalURL: true}, "SCRIPT_NAME=/run.exe|PATH_INFO=/run.exe/x|REQUEST_URI=/run.exe/x|HTTP_X_ORIGINAL_URL=/nice/%D1%8F/?q=/a", "|/nice/я/|/nice/я/"},
		{"original URL, script name", Handler{OriginalURL: true, ScriptName: "/nice"}, "SCRIPT_NAME=/run.exe|PATH_INFO=/run.exe/x|HTTP_X_ORIGINAL_URL=/nice/a/../b", "/nice|/b|/nice/b"},
		{"original URL, none", Handler{OriginalURL: true}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x", "/app|/x|/app/x"},
		{"original URL, no path", Handler{OriginalURL: true}, "SCRIPT_NAME=/app|PATH_INFO=/app/x|REQUEST_URI=/app/x|HTTP_X_ORIGINAL_URL=http://x/y", "/app|/x|/app/x"},
		{"no path at all", Handler{}, "REQUEST_METHOD=GET", "||"},
	} {
		for _, policy := range []cgi.PathPolicy{cgi.PathAuto, cgi.PathIIS, cgi.PathKeep} {
			var got string
			h := c.handler
			h.App = tell(&got)
			res, _ := run(&h, policy, append(strings.Split(c.vars, "|"), "REQUEST_METHOD=GET")...)
			if code := res.Code; got != c.want || c.want == "" && code != 404 || c.want != "" && code != 200 {
				t.Errorf("%s, %v: got %q (%d), want %q", c.name, policy, got, code, c.want)
			}
		}
	}
}

func TestOriginalURLRefused(t *testing.T) {
	for _, url := range []string{"/a%00b", "/a/..%2f..%2fb"} {
		res, _ := run(&Handler{OriginalURL: true, App: tell(new(string))}, cgi.PathAuto, "REQUEST_METHOD=GET", "SCRIPT_NAME=/run.exe",
			"PATH_INFO=/run.exe/x", "REQUEST_URI=/run.exe/x", "HTTP_X_ORIGINAL_URL="+url)
		if res.Code != 400 {
			t.Errorf("%s: status %d", url, res.Code)
		}
	}
}

func TestHandlerWithMux(t *testing.T) {
	vars := []string{"REQUEST_METHOD=GET", "SCRIPT_NAME=/app", "PATH_INFO=/app/app/x", "CONTENT_TYPE="}
	var got string
	inner, outer := new(cgi.Mux), new(cgi.Mux)
	if err := inner.Mount("/app", tell(&got)); err != nil {
		t.Fatal(err)
	}
	run(&Handler{App: inner}, cgi.PathAuto, vars...)
	if want := "/app|/app/x|/app/app/x"; got != want {
		t.Errorf("in front of a Mux: got %q, want %q", got, want)
	}
	if err := outer.Mount("/app", &Handler{App: tell(&got)}); err != nil {
		t.Fatal(err)
	}
	// What the Mux has split is no repetition, though it looks like one.
	run(outer, cgi.PathIIS, vars...)
	if want := "/app|/app/x|/app/app/x"; got != want {
		t.Errorf("behind a Mux: got %q, want %q", got, want)
	}
	root := new(cgi.Mux)
	if err := root.Mount("/", &Handler{App: tell(&got)}); err != nil {
		t.Fatal(err)
	}
	run(root, cgi.PathAuto, vars...)
	if want := "/app|/app/x|/app/app/x"; got != want {
		t.Errorf("behind the root of a Mux: got %q, want %q", got, want)
	}
}

func TestHandlerWithoutApp(t *testing.T) {
	res, _ := run(new(Handler), cgi.PathAuto, "REQUEST_METHOD=GET", "SCRIPT_NAME=/nothing-is-there", "PATH_INFO=/nothing-is-there")
	if res.Code != 404 || res.Err != nil {
		t.Errorf("http.DefaultServeMux answered %d, %v", res.Code, res.Err)
	}
}

func TestHandlerHTTP(t *testing.T) {
	var script, path string
	h := &Handler{App: cgi.FromHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		script, path = cgi.ScriptName(r), r.URL.Path
	}))}
	run(h, cgi.PathIIS, "REQUEST_METHOD=GET", "SCRIPT_NAME=/app", "PATH_INFO=/app/app", "REQUEST_URI=/app/app")
	if script != "/app" || path != "/app/app" {
		t.Errorf("mounted at %q, asked for %q", script, path)
	}
}
