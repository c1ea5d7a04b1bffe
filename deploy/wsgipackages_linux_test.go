package deploy_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWSGIPackages: what Debian has packages of, on workers, through nginx: radicale, klaus, and
// Mercurial's hgweb.
func TestWSGIPackages(t *testing.T) {
	p := newProjectOf(t, 3<<20)
	p.publish(t)
	install(t, "testdata/wsgi/radicale.config", "/srv/radicale/config", 0o644)
	writeProgram(t, "/srv/radicale/users", "alice:secret\n", 0o644)
	giveAway(t, "/srv/radicale")
	install(t, "testdata/wsgi/hgweb.py", "/srv/hg/hgweb.py", 0o644)
	install(t, "testdata/wsgi/hgweb.config", "/srv/hg/hgweb.config", 0o644)
	hg(t, "/srv/hg", "init", "project")
	giveAway(t, "/srv/hg")
	startWSGI(t, "wsgi")
	startNginx(t, "testdata/wsgi/nginx.conf")
	for _, base := range []string{"http://localhost", "http://localhost:8080"} {
		t.Run("radicale "+base, func(t *testing.T) { keepCalendar(t, newVisitor(t, base)) })
		t.Run("klaus "+base, func(t *testing.T) {
			p.publish(t)
			browseRepository(t, newVisitor(t, base), p)
		})
		t.Run("hgweb "+base, func(t *testing.T) { pushChanges(t, newVisitor(t, base)) })
	}
}

// keepCalendar makes a calendar, puts an event into it, finds it in a report, and deletes both.
func keepCalendar(t *testing.T, v *visitor) {
	const calendar, event = "/radicale/alice/calendar/", "/radicale/alice/calendar/event.ics"
	const text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//gatehouse//test//EN\r\nBEGIN:VEVENT\r\nUID:event-1\r\nDTSTAMP:20261130T120000Z\r\n" +
		"DTSTART:20261201T090000Z\r\nDTEND:20261201T100000Z\r\nSUMMARY:A meeting about ü\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	const report = `<?xml version="1.0" encoding="utf-8"?>
<C:calendar-query xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:D="DAV:">
<D:prop><D:getetag/><C:calendar-data/></D:prop>
<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">
<C:time-range start="20261201T000000Z" end="20261202T000000Z"/>
</C:comp-filter></C:comp-filter></C:filter></C:calendar-query>`
	do := func(method, path, body string, fields ...string) page {
		return v.do(t, method, path, strings.NewReader(body), int64(len(body)), fields...)
	}
	const password = "Authorization: Basic YWxpY2U6c2VjcmV0" // alice:secret
	v.get(t, "/radicale/").wantRedirect(t, "/radicale/", http.StatusFound, "/radicale/.web")
	v.get(t, "/radicale/.web/").want(t, "the main page", http.StatusOK, "Radicale")
	got := do("PROPFIND", "/radicale/alice/", "")
	got.want(t, "without a password", http.StatusUnauthorized)
	if got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("nobody is asked for a password: %q", got.header)
	}
	do("PROPFIND", "/radicale/alice/", "", "Authorization: Basic YWxpY2U6d3Jvbmc=").want(t, "a wrong password", http.StatusUnauthorized)
	do("PROPFIND", "/radicale/alice/", "", password, "Depth: 0").want(t, "PROPFIND", http.StatusMultiStatus, "/radicale/alice/")
	do("MKCALENDAR", calendar, "", password).want(t, "MKCALENDAR", http.StatusCreated)
	do("PUT", event, text, password, "Content-Type: text/calendar", "If-None-Match: *").want(t, "PUT", http.StatusCreated)
	do("REPORT", calendar, report, password, "Content-Type: application/xml", "Depth: 1").
		want(t, "REPORT", http.StatusMultiStatus, event, "A meeting about ü")
	do("GET", event, "", password).want(t, "GET", http.StatusOK, "A meeting about ü")
	do("DELETE", calendar, "", password).want(t, "DELETE", http.StatusOK)
	do("GET", event, "", password).want(t, "GET of what was deleted", http.StatusNotFound)
}

// browseRepository reads pages of a git repository, clones it, pushes to it, and clones it again.
func browseRepository(t *testing.T, v *visitor, p *project) {
	v.get(t, "/klaus/").want(t, "the main page", http.StatusOK, "repositories of the test", "project")
	v.get(t, "/klaus/project/").want(t, "the repository", http.StatusOK, "The first commit", "greeting.txt")
	v.get(t, "/klaus/project/blob/main/greeting.txt").want(t, "a file", http.StatusOK, "greetings-from-the-repository")
	v.get(t, "/klaus/project/commit/"+p.old+"/").want(t, "a commit", http.StatusOK, "The first commit")
	if got := v.get(t, "/klaus/project/raw/main/random.bin"); got.status != http.StatusOK || len(got.body) != 3<<20 {
		t.Errorf("a raw file: status %d, %d bytes", got.status, len(got.body))
	}
	v.get(t, "/klaus/missing/").want(t, "a repository that is missing", http.StatusNotFound)
	url := v.base + "/klaus/project"
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "--quiet", url, clone)
	if got := git(t, clone, "rev-parse", "HEAD"); got != p.old {
		t.Errorf("the clone is at %s; want %s", got, p.old)
	}
	git(t, p.work, "-c", counted, "push", "--quiet", url, "main")
	again := filepath.Join(t.TempDir(), "again")
	git(t, "", "clone", "--quiet", url, again)
	wantSameFiles(t, again, p.work)
}

// pushChanges clones a Mercurial repository, pushes a change, clones it again, and reads its pages.
func pushChanges(t *testing.T, v *visitor) {
	url := v.base + "/hg/project"
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	hg(t, "", "clone", "--quiet", url, first)
	name := strings.NewReplacer("/", "-", ":", "-").Replace(v.base) + ".txt"
	text := strings.Repeat("a line of "+v.base+"\n", 50_000)
	if err := os.WriteFile(filepath.Join(first, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	hg(t, first, "commit", "--quiet", "--addremove", "--message", "Adds "+name)
	hg(t, first, "push", "--quiet")
	hg(t, "", "clone", "--quiet", url, second)
	if got := read(t, filepath.Join(second, name)); string(got) != text {
		t.Errorf("%d bytes were pushed, %d cloned", len(text), len(got))
	}
	v.get(t, "/hg/").want(t, "the main page", http.StatusOK, "project")
	v.get(t, "/hg/project/").want(t, "the repository", http.StatusOK, "Adds "+name)
	v.get(t, "/hg/project/file/tip/"+name).want(t, "a file", http.StatusOK, "a line of "+v.base)
	if got := v.get(t, "/hg/project/raw-file/tip/"+name); got.body != text {
		t.Errorf("a raw file: status %d, %d bytes", got.status, len(got.body))
	}
	v.get(t, "/hg/missing/").want(t, "a repository that is missing", http.StatusNotFound)
}

// hg runs Mercurial in a directory. It has to succeed.
func hg(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("/usr/bin/hg", args...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HGPLAIN=1", "HGUSER=nobody", "HGRCPATH="}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("hg %q: %v\n%s", args, err, out)
	}
}
