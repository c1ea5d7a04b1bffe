package deploy_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// The password of Django's administrator.
const adminPassword = "correct horse battery staple"

// installDjango puts the project where its configuration expects it, with its database and its
// static files.
func installDjango(t *testing.T) {
	t.Helper()
	installTree(t, "django", "/srv/django")
	if err := os.Mkdir("/srv/django/data", 0o755); err != nil {
		t.Fatal(err)
	}
	giveAway(t, "/srv/django")
	env := []string{"DJANGO_SETTINGS_MODULE=project.settings", "PYTHONPATH=/srv/django",
		"DJANGO_SUPERUSER_PASSWORD=" + adminPassword, "PYTHONDONTWRITEBYTECODE=1"}
	for _, args := range [][]string{
		{"migrate", "--run-syncdb", "--verbosity", "0"},
		{"createsuperuser", "--noinput", "--username", "alice", "--email", "alice@example.org"},
		{"collectstatic", "--noinput", "--verbosity", "0"},
	} {
		runAsWebUser(t, "/srv/django", env, "/usr/bin/python3", append([]string{"-m", "django"}, args...)...)
	}
}

// TestDjango: a project that Django's own tool laid out, on workers: its admin, its sessions and
// its protection against forged requests, a large upload, a response that streams, its static
// files beside it, and the scheme of the web server.
func TestDjango(t *testing.T) {
	installDjango(t)
	log := startWSGI(t, "django")
	for i, f := range wsgiFronts {
		t.Run(f.name, func(t *testing.T) {
			f.start(t, f.file)
			scheme, _, _ := strings.Cut(f.base, ":")
			v := newVisitor(t, f.base)
			t.Run("admin", func(t *testing.T) {
				administrate(t, newVisitor(t, f.base), fmt.Sprintf("Note %d with ü and \U0001f600", i))
			})
			t.Run("session", func(t *testing.T) {
				for n := range 3 {
					v.get(t, "/").want(t, "/", http.StatusOK, fmt.Sprintf("visit %d of nobody, %s, %s/, secure %s, from 127.0.0.1\n",
						n+1, scheme, f.base, map[bool]string{true: "True", false: "False"}[scheme == "https"]))
				}
			})
			t.Run("redirects", func(t *testing.T) {
				v.get(t, "/old/").wantRedirect(t, "/old/", http.StatusFound, "/admin/login/")
				v.get(t, "/old?a=b%20c").wantRedirect(t, "/old", http.StatusMovedPermanently, "/old/?a=b%20c")
			})
			t.Run("forged", func(t *testing.T) {
				v.post(t, "/upload", url.Values{"file": {"x"}}).want(t, "a request without a token", http.StatusForbidden, "CSRF")
				if scheme == "https" {
					v.do(t, "POST", "/upload", strings.NewReader("file=x"), 6, "Content-Type: application/x-www-form-urlencoded", "X-CSRFToken: "+v.cookie(t, "csrftoken"),
						"Referer: https://elsewhere.example.org/").want(t, "a request from elsewhere", http.StatusForbidden, "CSRF")
				}
			})
			t.Run("upload", func(t *testing.T) {
				for _, size := range []int64{0, 1, 70_000, uploadSize} {
					v.wantFile(t, "/upload", size, "X-CSRFToken: "+v.cookie(t, "csrftoken"))
				}
			})
			if !f.apache() { // which waits for a full buffer
				t.Run("stream", func(t *testing.T) { v.wantBlocks(t, "/stream") })
			}
			t.Run("static files", func(t *testing.T) {
				got := v.get(t, "/static/admin/css/base.css")
				got.want(t, "base.css", http.StatusOK, "DJANGO Admin styles")
				if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/css") {
					t.Errorf("base.css is %q", kind)
				}
				v.get(t, "/static/missing.css").want(t, "a missing file", http.StatusNotFound)
			})
			t.Run("head", func(t *testing.T) {
				got := v.do(t, "HEAD", "/admin/login/", nil, 0)
				if got.status != http.StatusOK || got.body != "" || got.header.Get("Content-Length") == "0" {
					t.Errorf("status %d, %q, %d bytes", got.status, got.header, len(got.body))
				}
			})
			t.Run("errors", func(t *testing.T) {
				v.get(t, "/missing").want(t, "/missing", http.StatusNotFound, "Not Found")
				v.get(t, "/fails").want(t, "/fails", http.StatusInternalServerError, "Server Error (500)")
				testkit.Until(t, "the traceback in the log", func() bool {
					return strings.Contains(log(), "ValueError: a view that fails")
				})
			})
		})
	}
}

var csrfField = regexp.MustCompile(`name="csrfmiddlewaretoken" value="(\w+)"`)

// token gets a page with a form, and returns the token that is to be sent with it.
func token(t *testing.T, v *visitor, path string) string {
	t.Helper()
	got := v.get(t, path)
	found := csrfField.FindStringSubmatch(got.body)
	if got.status != http.StatusOK || found == nil {
		t.Fatalf("%s: status %d, without a token\n%.2000s", path, got.status, got.body)
	}
	return found[1]
}

// administrate logs in to Django's admin, adds a note, finds it, and logs out.
func administrate(t *testing.T, v *visitor, title string) {
	v.get(t, "/admin/").wantRedirect(t, "/admin/", http.StatusFound, "/admin/login/?next=/admin/")
	const login = "/admin/login/?next=/admin/"
	form := url.Values{"username": {"alice"}, "password": {adminPassword}, "next": {"/admin/"}}
	v.post(t, login, form).want(t, "a login without a token", http.StatusForbidden, "CSRF")
	form.Set("csrfmiddlewaretoken", token(t, v, login))
	form.Set("password", "wrong")
	v.post(t, login, form).want(t, "a wrong password", http.StatusOK, "Please enter the correct username and password")
	form.Set("password", adminPassword)
	v.post(t, login, form).wantRedirect(t, "login", http.StatusFound, "/admin/")
	v.get(t, "/admin/").want(t, "/admin/", http.StatusOK, "Site administration", "alice")

	const add = "/admin/notes/note/add/"
	note := url.Values{"csrfmiddlewaretoken": {token(t, v, add)}, "title": {title}, "text": {strings.Repeat("Two lines.\r\n", 10_000)}}
	v.post(t, add, note).wantRedirect(t, "a note", http.StatusFound, "/admin/notes/note/")
	v.get(t, "/admin/notes/note/").want(t, "the notes", http.StatusOK, "was added successfully", title)
	v.get(t, "/admin/notes/note/?q=").want(t, "the notes again", http.StatusOK, title)

	v.get(t, "/admin/logout/").want(t, "logout", http.StatusOK, "Logged out")
	v.get(t, "/admin/").wantRedirect(t, "/admin/ after the logout", http.StatusFound, "/admin/login/?next=/admin/")
}
