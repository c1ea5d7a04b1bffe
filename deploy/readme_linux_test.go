package deploy_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// readmeBlock returns the blocks of the README in a language, one after the other.
func readmeBlock(t *testing.T, language string) string {
	t.Helper()
	var text strings.Builder
	for _, b := range testkit.CodeBlocks(t, "../README.md") {
		if b.Language == language {
			text.WriteString(b.Text)
		}
	}
	if text.Len() == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return text.String()
}

// startPassed starts the gateway as the web servers' user, with a configuration and a socket
// that is passed as systemd passes that of a unit.
func startPassed(t *testing.T, config, socket string) (log func() string) {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(socket), ".sock")
	file := "/etc/gatehouse/" + name + ".toml"
	for _, dir := range []string{filepath.Dir(file), filepath.Dir(socket)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	passed := listenAsWebUser(t, socket)
	return startLogged(t, name, `exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=fastcgi \
		exec setpriv --reuid=www-data --regid=www-data --init-groups gatehouse serve --config `+file+` 2>"$LOG"`, passed, socket)
}

// startNginxWith starts nginx with the locations as its only site.
func startNginxWith(t *testing.T, locations string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "site.conf")
	if err := os.WriteFile(file, []byte("server {\nlisten 80;\nserver_name _;\n"+locations+"}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	startNginx(t, file)
}

// TestReadmeNginx: the configurations in the README run programs and serve git, and nobody is
// whom he claims to be.
func TestReadmeNginx(t *testing.T) {
	writeProgram(t, "/usr/lib/cgi-bin/tell", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s|%s|<%s>' \"$SCRIPT_NAME\" \"$PATH_INFO\" \"$REMOTE_USER\"\n", 0o755)
	p := newProjectOf(t, 1000)
	repository := p.publish(t)
	git(t, repository, "config", "--unset", "http.receivepack")
	packaged, err := os.ReadFile("packaging/git.toml")
	if err != nil {
		t.Fatal(err)
	}
	log := startPassed(t, readmeBlock(t, "toml"), "/run/gatehouse/fastcgi.sock")
	startPassed(t, string(packaged), "/run/gatehouse/git.sock")
	locations := readmeBlock(t, "nginx")
	startNginxWith(t, locations)

	if got := getAs(t, "/cgi-bin/tell/more", "anyone", "x"); got.status != http.StatusOK || got.body != "/cgi-bin/tell|/more|<>" {
		t.Errorf("status %d, %q", got.status, got.body)
	}
	if got := getURL(t, "/cgi-bin/missing"); got.status != http.StatusNotFound {
		t.Errorf("a missing program: status %d", got.status)
	}
	const reason = `404 Not Found: /usr/lib/cgi-bin/missing: no such file`
	if !testkit.Poll(func() bool { return strings.Contains(log(), reason) }) {
		t.Errorf("the log has no %s:\n%s", reason, log())
	}
	git(t, "", "clone", "--quiet", projectURL, filepath.Join(t.TempDir(), "clone"))
	if got := getAs(t, "/git/project.git/info/refs?service=git-receive-pack", "anyone", "x"); got.status != http.StatusForbidden {
		t.Errorf("anyone may push: status %d", got.status)
	}
}

// TestLikeFcgiwrapsSite: with the path of the directory alone in the configuration, the web
// server names the programs as it does for fcgiwrap, wherever their location is.
func TestLikeFcgiwrapsSite(t *testing.T) {
	writeProgram(t, "/usr/lib/cgi-bin/tell", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s|%s' \"$SCRIPT_NAME\" \"$PATH_INFO\"\n", 0o755)
	log := startPassed(t, "fastcgi = \"systemd:fastcgi\"\nscripts = \"/usr/lib/cgi-bin\"\n", "/run/gatehouse/fastcgi.sock")
	startNginxWith(t, `
	location /cgi-bin/ {
		root /usr/lib;
		include fastcgi_params;
		fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
		fastcgi_pass unix:/run/gatehouse/fastcgi.sock;
	}
	location ~ ^/programs/([^/]*)(.*)$ {
		include fastcgi_params;
		fastcgi_param SCRIPT_FILENAME /usr/lib/cgi-bin/$1;
		fastcgi_param SCRIPT_NAME /programs/$1;
		fastcgi_param PATH_INFO $2;
		fastcgi_pass unix:/run/gatehouse/fastcgi.sock;
	}
	location /unnamed/ {
		include fastcgi_params;
		fastcgi_pass unix:/run/gatehouse/fastcgi.sock;
	}
`)
	for path, want := range map[string]string{"/cgi-bin/tell": "/cgi-bin/tell|", "/cgi-bin/tell/more": "/cgi-bin/tell|/more", "/programs/tell/more": "/programs/tell|/more"} {
		if got := getURL(t, path); got.status != http.StatusOK || got.body != want {
			t.Errorf("%s: status %d, %q; want %q", path, got.status, got.body, want)
		}
	}
	if got := getURL(t, "/unnamed/tell"); got.status != http.StatusNotFound {
		t.Errorf("without SCRIPT_FILENAME: status %d", got.status)
	}
	const remedy = `write prefix = \"/unnamed\" if /unnamed is the location in the web server`
	if !testkit.Poll(func() bool { return strings.Contains(log(), remedy) }) {
		t.Errorf("the log has no %s:\n%s", remedy, log())
	}
}
