//go:build linux

package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/cgi"
)

// TestScriptFilenameGoesOn: what is behind the file in SCRIPT_FILENAME moves from SCRIPT_NAME
// to PATH_INFO, in whichever form it is sent.
func TestScriptFilenameGoesOn(t *testing.T) {
	f := newFixture(t)
	const tell = head + `echo "$SCRIPT_FILENAME|$SCRIPT_NAME|${PATH_INFO-unset}|${PATH_TRANSLATED-unset}"`
	file := f.sh(t, "ok.cgi", tell)
	f.sh(t, "a b.cgi", tell)
	f.write(t, "plain.txt", "text", 0o644)
	outside := newFixture(t)
	other := outside.sh(t, "other.cgi", tell)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(f.dir, link); err != nil {
		t.Fatal(err)
	}
	const proxy = "proxy:fcgi://127.0.0.1:9000"
	for _, c := range []struct {
		name, script string
		info         string // "-" if it is not sent
		want         string // %F is the file; or an error
	}{
		{"%F/extra", "/cgi/ok.cgi/extra", "-", "%F|/cgi/ok.cgi|/extra|unset"},
		{"%F/", "/cgi-bin/ok.cgi/", "-", "%F|/cgi-bin/ok.cgi|/|unset"},
		{"%F//", "/ok.cgi//", "-", "%F|/ok.cgi|//|unset"},
		{"%F/a//b", "/ok.cgi/a//b", "-", "%F|/ok.cgi|/a//b|unset"},
		{"%F/a/../b", "/ok.cgi/a/../b", "-", "%F|/ok.cgi|/a/../b|unset"}, // HAProxy
		{"%F/extra", "/ok.cgi/extra", "", "%F|/ok.cgi|/extra|unset"},
		{"%F/extra", "/ok.cgi/extra", "/extra", "%F|/ok.cgi|/extra|/t"},
		{"%F/extra", "/ok.cgi/extra", "/more", "%F|/ok.cgi|/extra/more|unset"},
		{"%F/extra", "/ok.cgi", "/extra", "%F|/ok.cgi|/extra|/t"},
		{"%F/extra", "/ok.cgi", "-", "%F|/ok.cgi|/extra|unset"},
		{"%F/extra", "/extra", "-", "%F||/extra|unset"}, // /srv/cgi/ok.cgi$uri
		{"%F/extra", "/other", "/sent", "%F|/other|/sent|/t"},
		{"%F", "/ok.cgi/as/sent", "-", "%F|/ok.cgi/as/sent|unset|unset"},
		{link + "/ok.cgi/x", "/ok.cgi/x", "-", link + "/ok.cgi|/ok.cgi|/x|unset"},
		{"%D/./ok.cgi/x", "/ok.cgi/x", "-", "%F|/ok.cgi|/x|unset"},
		{"%D/none/../ok.cgi/x", "/ok.cgi/x", "-", "%F|/ok.cgi|/x|unset"},
		{"%D/plain.txt/x", "/plain.txt/x", "-", "%D/plain.txt: is not executable"},
		// That of another place is no file's, and the path decides.
		{other + "/x", "/none", "-", "is a file: what follows it belongs into PATH_INFO (fastcgi_split_path_info); the path /none leads to no program in %D either"},
		{"/etc/passwd/x", "/ok.cgi/x", "-", "%F|/ok.cgi|/x|unset"},
		{"%D/none/x", "/ok.cgi/x", "-", "%F|/ok.cgi|/x|unset"},

		// Apache. ProxyPass encodes the path, and leaves it whole in SCRIPT_NAME.
		{proxy + "%F/extra", "/cgi/ok.cgi/extra", "-", "%F|/cgi/ok.cgi|/extra|unset"},
		{"proxy:fcgi://localhost/%F", "/cgi/ok.cgi", "/x", "%F|/cgi/ok.cgi|/x|/t"},
		{"proxy:unix:/run/s.sock|fcgi://localhost%F/x", "/cgi/ok.cgi/x", "-", "%F|/cgi/ok.cgi|/x|unset"},
		{proxy + "%D/a%20b.cgi/c%20d", "/cgi/a b.cgi/c d", "-", "%D/a b.cgi|/cgi/a b.cgi|/c d|unset"},
		{proxy + "%D/a b.cgi", "/cgi/a b.cgi", "/c d", "%D/a b.cgi|/cgi/a b.cgi|/c d|/t"},
		{proxy + "%F/a%2Fb%20c/d", "/cgi/ok.cgi/a%2Fb c/d", "-", "%F|/cgi/ok.cgi|/a%2Fb c/d|unset"},
		{proxy + "%D/sub/../ok.cgi", "/cgi/x", "-", "%F|/cgi/x|unset|unset"},
		// What lies in no root, or is the client's own path, leaves it to the path.
		{proxy + other, "/none", "-", "%D/none: no such file"},
		{proxy + "%D/../" + filepath.Base(outside.dir) + "/other.cgi", "/none", "-", "%D/none: no such file"},
		{proxy + "%F", "%F", "-", "no such file"},
		{proxy + "%F", "/app%F", "-", "no such file"},
		{proxy + "%D/%6Fk.cgi", "%F", "-", "no such file"},
		{proxy + "/ok.cgi/x", "/ok.cgi/x", "-", "%F|/ok.cgi|/x|unset"},
	} {
		full := strings.NewReplacer("%F", file, "%D", f.dir)
		r := request("", "SCRIPT_FILENAME="+full.Replace(c.name), "SCRIPT_NAME="+full.Replace(c.script), "PATH_TRANSLATED=/t")
		r.Env.Del("PATH_INFO")
		if c.info != "-" {
			r.Env.Set("PATH_INFO", c.info)
		}
		s, res := f.serve(r)
		want := full.Replace(c.want)
		if !strings.Contains(want, "|") {
			if res.Code < 400 || res.Err == nil || !strings.Contains(res.Err.Error(), want) {
				t.Errorf("%s with %s: %d, %v; want %q", c.name, c.script, res.Code, res.Err, want)
			}
		} else if s.Body.String() != want+"\n" {
			t.Errorf("%s with %s: %q, %v; want %q", c.name, c.script, s.Body.String(), res.Err, want)
		}
	}
}

// TestOnlyAndWhatGoesOn: what decides is the file that was found, not how the name ends.
func TestOnlyAndWhatGoesOn(t *testing.T) {
	f := newFixture(t)
	f.Only = []string{"*.cgi"}
	upload := f.sh(t, "uploads/photo.jpg", head+"echo ran")
	file := f.sh(t, "a.cgi", head+"echo ran")
	for _, name := range []string{upload + "/x.cgi", "proxy:fcgi://localhost" + upload + "/x.cgi", ""} {
		_, res := f.serve(request("", "SCRIPT_NAME=/uploads/photo.jpg/x.cgi", "SCRIPT_FILENAME="+name))
		checkRefused(t, res, 403, upload, "is not one of the programs that may run", "only")
	}
	s, res := f.serve(request("", "SCRIPT_NAME=/a.cgi/photo.jpg", "SCRIPT_FILENAME="+file+"/photo.jpg"))
	checkOK(t, s, res, "ran\n")
}

// TestProgramAsRootKeepsTheMountPoint: a program that serves a whole site has the mount point
// that the web server told.
func TestProgramAsRootKeepsTheMountPoint(t *testing.T) {
	f := newFixture(t)
	file := f.sh(t, "fossil", head+`echo "$SCRIPT_NAME|${PATH_INFO-unset}|$QUERY_STRING"`)
	f.Roots = []string{file}
	m := new(cgi.Mux)
	if err := m.Mount("/", f.App); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ vars, want string }{
		{"SCRIPT_NAME=/code DOCUMENT_URI=/code/x/y REQUEST_URI=/code/x/y?n=1", "/code|/x/y|n=1"},
		{"SCRIPT_NAME=/code PATH_INFO=/x REQUEST_URI=/code/x QUERY_STRING=", "/code|/x|"},
		{"SCRIPT_NAME=/ PATH_INFO=/x REQUEST_URI=/x", "|/x|"},
		{"SCRIPT_NAME=/x DOCUMENT_URI=/x REQUEST_URI=/x", "|/x|"},
	} {
		env := cgi.NewEnviron(append(strings.Fields(c.vars), "REQUEST_METHOD=GET")...)
		s := new(recorder)
		res := f.handler().Run(&cgi.Request{Env: env, Body: strings.NewReader("")}, s, m)
		checkOK(t, s, res, c.want+"\n")
	}
}
