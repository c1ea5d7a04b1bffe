package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The tests of Plack's suite that a front, or a program, makes fail. docs/applications.md says
// why.
const (
	plackDies    = "Do not crash when the app dies"
	plackSlashes = "repeated slashes"
)

// TestPlackSuite: Plack's own tests for servers (Plack::Test::Suite), over HTTP, and behind nginx
// over FastCGI and SCGI, with an application that the gateway keeps, and with a CGI program.
func TestPlackSuite(t *testing.T) {
	if err := os.MkdirAll("/run/plack", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"app.psgi": 0o644, "app.cgi": 0o755, "suite.pl": 0o644} {
		install(t, "testdata/plack/"+name, "/srv/plack/"+name, mode)
	}
	install(t, "testdata/plack/gatehouse.toml", "/etc/gatehouse/plack.toml", 0o644)
	log := startLogged(t, "plack", `exec gatehouse serve --config /etc/gatehouse/plack.toml 2>"$LOG"`, nil,
		"/run/plack/fastcgi.sock", "/run/plack/scgi.sock", "127.0.0.1:8080")
	startNginx(t, "testdata/plack/nginx.conf")
	page, err := os.ReadFile("../docs/applications.md")
	if err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name   string
		port   int
		prefix string
		failed []string
		got    []string // what they have got
	}{
		{"HTTP", 8080, "", nil, nil},
		{"FastCGI", 80, "", nil, nil},
		{"SCGI", 81, "", nil, nil},
		{"CGI over HTTP", 8080, "/cgi", []string{plackDies}, []string{"'502'", "'Bad Gateway'"}},
		{"CGI over FastCGI", 80, "/cgi", []string{plackDies, plackSlashes}, []string{"'502'", "'Bad Gateway'", "'/foo/bar/baz'"}},
		{"CGI over SCGI", 81, "/cgi", []string{plackDies, plackSlashes}, []string{"'502'", "'Bad Gateway'", "'/foo/bar/baz'"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "/usr/bin/perl", "/srv/plack/suite.pl", fmt.Sprint(c.port), c.prefix)
			out, _ := cmd.CombinedOutput()
			r := readPlackResults(string(out))
			if r.checks < 100 || r.planned != r.checks || !slices.Equal(r.failed, c.failed) || !slices.Equal(r.got, c.got) {
				t.Errorf("%d checks of %d, failed are %q with %q; want %q with %q\n%s\nthe log:\n%s",
					r.checks, r.planned, r.failed, r.got, c.failed, c.got, out, log())
			}
			for _, name := range c.failed {
				if !strings.Contains(string(page), "`"+name+"`") {
					t.Errorf("docs/applications.md does not name %q", name)
				}
			}
		})
	}
}

// plackResults are what the suite printed (the Test Anything Protocol).
type plackResults struct {
	checks, planned int
	failed          []string // tests with a check that failed
	got             []string // in these checks
}

func readPlackResults(output string) (r plackResults) {
	test := ""
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\n")
		if note, ok := strings.CutPrefix(line, "# "); ok && !strings.HasPrefix(note, " ") {
			test = note
		}
		if got, ok := strings.CutPrefix(line, "#          got: "); ok {
			r.got = append(r.got, got)
		}
		failed := strings.HasPrefix(line, "not ok ")
		if failed && !slices.Contains(r.failed, test) {
			r.failed = append(r.failed, test)
		}
		if failed || strings.HasPrefix(line, "ok ") {
			r.checks++
		}
		fmt.Sscanf(line, "1..%d", &r.planned)
	}
	return r
}
