package deploy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGitPassword follows the comments on passwords in the files for git: with
// the lines in place that they speak of, a user with the right password may
// push, and nobody else.
func TestGitPassword(t *testing.T) {
	p := newProject(t)
	startGateway(t)
	for _, f := range []front{
		{"nginx FastCGI", startNginx, "nginx/git.conf"},
		{"nginx FastCGI unbuffered", startNginx, "nginx/git-unbuffered.conf"},
		{"nginx SCGI", startNginx, "nginx/git-scgi.conf"},
		{"Apache FastCGI", startApache, "apache/fastcgi.conf"},
		{"Caddy FastCGI", startCaddy, "caddy/fastcgi.Caddyfile"},
	} {
		t.Run(f.name, func(t *testing.T) {
			repository := p.publish(t)
			git(t, repository, "config", "--unset", "http.receivepack")
			f.start(t, askForPassword(t, f.file))

			for _, stranger := range []string{"", "mallory:any@", "alice:wrong@"} {
				out, _, err := p.tryPush(t, strings.Replace(projectURL, "//", "//"+stranger, 1), chunked)
				if err == nil {
					t.Errorf("%q may push\n%s", stranger, out)
				}
				if got := git(t, repository, "rev-parse", "main"); got != p.old {
					t.Fatalf("main is %s after %q pushed", got, stranger)
				}
			}
			p.push(t, strings.Replace(projectURL, "//", "//alice:secret@", 1), chunked)
			if got := git(t, repository, "rev-parse", "main"); got != p.new {
				t.Fatalf("main is %s after the push; want %s", got, p.new)
			}
		})
	}
}

var (
	commentedOut = regexp.MustCompile(`(?m)^(\t*)#([a-zA-Z<[\t}])`)
	userFile     = regexp.MustCompile(`/etc/(nginx|apache2|caddy)/git\.(htpasswd|users)`)
)

// Lines of files of users: alice, whose password is secret.
const (
	aliceSHA1  = "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"
	aliceCaddy = "alice $2y$04$IJ/mGqt256TLpd3pu.hhOeNGSGlUX/yAJGDauPX/R/zglfJDZHCzK\n"
)

// askForPassword returns the path of a copy of the file in which the lines on passwords
// are as its comments say, and makes the list of users that these lines name. Its only
// user is alice, with the password secret.
func askForPassword(t *testing.T, file string) string {
	t.Helper()
	content := read(t, file)
	changed := commentedOut.ReplaceAll(content, []byte("$1$2"))
	users := userFile.Find(changed)
	if users == nil || bytes.Equal(changed, content) {
		t.Fatalf("%s has no lines on passwords", file)
	}
	alice := aliceSHA1
	if strings.HasPrefix(string(users), "/etc/caddy/") {
		alice = aliceCaddy
	}
	if err := os.WriteFile(string(users), []byte(alice), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(string(users)) })
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(path, changed, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
