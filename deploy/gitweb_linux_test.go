package deploy_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// TestPages reads pages of gitweb, a Perl program behind a symbolic link, and
// of cgit, a C program that finds its way by PATH_INFO, through each web
// server: HTML, a file of 3 MiB byte for byte, and the static files beside
// them, which the web server sends.
func TestPages(t *testing.T) {
	p := newProject(t)
	p.publish(t)
	appendTo(t, "/etc/gitweb.conf", "$projectroot = \"/srv/git\";\n")
	appendTo(t, "/etc/cgitrc", "scan-path=/srv/git\n")
	random, err := os.ReadFile(filepath.Join(p.work, "random.bin"))
	if err != nil {
		t.Fatal(err)
	}
	umlaut, err := os.ReadFile(filepath.Join(p.work, "a directory/ü.bin"))
	if err != nil {
		t.Fatal(err)
	}
	startGateway(t)
	through(t, programFronts, func(t *testing.T, _ front) {
		const gitweb = "/cgi-bin/gitweb.cgi"
		wantPage(t, gitweb, "text/html", "project.git", "A project to test with", "</html>")
		wantPage(t, gitweb+"?p=project.git;a=summary", "text/html", "The first commit", "</html>")
		wantPage(t, gitweb+"/project.git/blob/main:/greeting.txt", "text/html", "greetings-from-the-repository", "</html>")
		wantContent(t, gitweb+"?p=project.git;a=blob_plain;hb=main;f=random.bin", random)
		wantPage(t, "/cgi-bin/static/gitweb.css", "text/css", "body")
		wantStatus(t, gitweb+"?p=missing.git", http.StatusNotFound)

		wantPage(t, "/cgit/", "text/html", "project.git", "A project to test with", "</html>")
		wantPage(t, "/cgit/project.git/log/", "text/html", "The first commit", "</html>")
		wantContent(t, "/cgit/project.git/plain/random.bin", random)
		wantContent(t, "/cgit/project.git/plain/"+url.PathEscape("a directory")+"/"+url.PathEscape("ü.bin"), umlaut)
		wantPage(t, "/cgit-css/cgit.css", "text/css", "div#cgit")

		wantStatus(t, "/cgi-bin/missing.cgi", http.StatusNotFound)
	})
}

func wantContent(t *testing.T, path string, want []byte) {
	t.Helper()
	got := getURL(t, path)
	if got.status != http.StatusOK || got.body != string(want) {
		t.Errorf("%s: status %d with %d bytes; want the %d bytes of the file", path, got.status, len(got.body), len(want))
	}
}

func wantStatus(t *testing.T, path string, want int) {
	t.Helper()
	if got := getURL(t, path); got.status != want {
		t.Errorf("%s: status %d; want %d", path, got.status, want)
	}
}

// appendTo adds a line to a configuration file of Debian's, as its
// administrator would.
func appendTo(t *testing.T, path, line string) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, before, 0o644); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(path, append(before[:len(before):len(before)], line...), 0o644); err != nil {
		t.Fatal(err)
	}
}
