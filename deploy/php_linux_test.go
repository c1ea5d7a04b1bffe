package deploy_test

import (
	"net/http"
	"os"
	"testing"
)

// TestPHPInDirectory: Debian's php-cgi has a link in cgi-bin. It runs scripts that name it,
// and nothing for a client that calls it itself: its alert is no CGI response, which is 502.
// With REDIRECT_STATUS it would be 500, since it takes itself for a page.
func TestPHPInDirectory(t *testing.T) {
	installPage(t)
	startGateway(t)
	through(t, programFronts, func(t *testing.T, _ front) { callPHP(t) })
}

// TestPHP: likewise where nginx sends REDIRECT_STATUS with every request; and pages run where
// nginx redirects to php-cgi, in a directory and as a root.
func TestPHP(t *testing.T) {
	installPage(t)
	serve(t, "gatehouse", "--fastcgi", "unix:/run/gatehouse/fastcgi.sock", "--scgi", "unix:/run/gatehouse/scgi.sock",
		"--app", "/cgi-bin=scripts:/usr/lib/cgi-bin", "--app", "/redirected=scripts:/usr/lib/cgi-bin", "--app", "/site=scripts:/usr/bin/php-cgi")
	startNginx(t, "testdata/php/nginx.conf")
	callPHP(t)
	for _, dir := range []string{"/redirected", "/site"} {
		writeProgram(t, "/srv/site"+dir+"/page.php", "<?php echo 'ran ', $_SERVER['SCRIPT_NAME'];\n", 0o644)
		if got := getURL(t, dir+"/page.php"); got.status != http.StatusOK || got.body != "ran "+dir+"/page.php" {
			t.Errorf("%s: status %d, %.300q", dir, got.status, got.body)
		}
		if got := getURL(t, dir+"/missing.php"); got.status != http.StatusNotFound {
			t.Errorf("%s/missing.php: status %d", dir, got.status)
		}
	}
}

// installPage puts a script that php-cgi runs into Debian's cgi-bin.
func installPage(t *testing.T) {
	t.Helper()
	const path = "/usr/lib/cgi-bin/page.php"
	writeProgram(t, path, "#!/usr/bin/php-cgi\n<?php echo 'ran ', $_SERVER['PATH_INFO'];\n", 0o755)
	t.Cleanup(func() { os.Remove(path) })
}

// callPHP calls that script, and php-cgi itself.
func callPHP(t *testing.T) {
	t.Helper()
	for path, want := range map[string]int{
		"/cgi-bin/page.php/more": http.StatusOK,
		"/cgi-bin/php":           http.StatusBadGateway,
		"/cgi-bin/php/page.php":  http.StatusBadGateway,
		"/cgi-bin/php?-s":        http.StatusBadGateway,
	} {
		request, err := http.NewRequest("GET", "http://localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Redirect-Status", "200") // CVE-2024-8927
		if got := get(t, request); got.status != want || want == http.StatusOK && got.body != "ran /more" {
			t.Errorf("%s: status %d, %.300q; want %d", path, got.status, got.body, want)
		}
	}
}
