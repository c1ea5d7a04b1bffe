package deploy_test

import (
	"bufio"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNagios reads pages of Nagios's C programs, and gives it a command: a form with
// a cookie, which arrives in the named pipe that Nagios reads. What it shows is up to
// the user, who has a password.
func TestNagios(t *testing.T) {
	const programs = "/opt/nagios4-cgi/usr/lib/cgi-bin/nagios4"
	for _, name := range []string{"status.cgi", "statusjson.cgi", "objectjson.cgi", "cmd.cgi"} {
		install(t, filepath.Join(programs, name), filepath.Join("/usr/lib/cgi-bin/nagios4", name), 0o755)
	}
	for _, name := range []string{"cgi.cfg", "nagios.cfg", "objects.cache", "status.dat"} {
		install(t, filepath.Join("testdata/nagios", name), filepath.Join("/etc/nagios4", name), 0o644)
	}
	const users = "/etc/nginx/nagios.htpasswd"
	if err := os.WriteFile(users, []byte("alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(users) })
	commands := bufio.NewReader(fifo(t, "/srv/test/nagios.cmd"))
	startGateway(t)
	startNginx(t, "testdata/nagios/nginx.conf")

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := httpClient(t)
	c.Jar = jar
	ask := func(user, program, query string, form url.Values) page {
		t.Helper()
		method := "GET"
		if form != nil {
			method = "POST"
		}
		request, err := http.NewRequest(method, "http://localhost/cgi-bin/nagios4/"+program+"?"+query, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(user, "secret")
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := c.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		got, err := readPage(response)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, x := range []struct {
		program, query, alice string
		all                   bool // other users get it, too
	}{
		{"status.cgi", "host=all", "DISK CRITICAL - 1% left", false},
		{"statusjson.cgi", "query=host&hostname=web-1", `"plugin_output": "it does not answer"`, true},
		{"objectjson.cgi", "query=hostlist", `"web-1"`, false},
	} {
		if got := ask("alice", x.program, x.query, nil); got.status != http.StatusOK || !strings.Contains(got.body, x.alice) {
			t.Errorf("%s: status %d; want 200 with %q\n%.2000s", x.program, got.status, x.alice, got.body)
		}
		if got := ask("bob", x.program, x.query, nil); got.status != http.StatusOK || strings.Contains(got.body, x.alice) != x.all {
			t.Errorf("%s: status %d; want 200, and %q for another user: %v\n%.2000s", x.program, got.status, x.alice, x.all, got.body)
		}
	}

	form := ask("alice", "cmd.cgi", "cmd_typ=33&host=web-1", nil)
	token := regexp.MustCompile(`(?i)name='nagFormId' value='([0-9a-f]+)'`).FindStringSubmatch(form.body)
	if token == nil {
		t.Fatalf("the form has no token\n%s", form.body)
	}
	answer := ask("alice", "cmd.cgi", "", url.Values{
		"cmd_typ": {"33"}, "cmd_mod": {"2"}, "nagFormId": {token[1]}, "host": {"web-1"},
		"sticky_ack": {"on"}, "com_data": {"it is known, ümlaut"}, "btnSubmit": {"Commit"},
	})
	line, err := commands.ReadString('\n')
	if err != nil || !strings.Contains(line, "ACKNOWLEDGE_HOST_PROBLEM;web-1;") || !strings.HasSuffix(line, ";alice;it is known, ümlaut\n") {
		t.Errorf("the command is %q, %v\n%s", line, err, answer.body)
	}
}
