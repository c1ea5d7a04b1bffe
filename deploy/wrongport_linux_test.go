package deploy_test

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// startAllProtocols starts a gateway that listens for each protocol, and returns what it logs.
func startAllProtocols(t *testing.T) (log func() string) {
	t.Helper()
	return startLogged(t, "wrongport", `exec gatehouse serve --fastcgi 127.0.0.1:9000 --fastcgi unix:/run/messages/fastcgi.sock,mode=0666 \
		--scgi 127.0.0.1:4000 --scgi unix:/run/messages/scgi.sock,mode=0666 --http 127.0.0.1:8080 --app hello 2>"$LOG"`,
		nil, "/run/messages/fastcgi.sock", "/run/messages/scgi.sock", "127.0.0.1:8080")
}

// wantLogged waits until the log has a text.
func wantLogged(t *testing.T, name string, log func() string, text string) {
	t.Helper()
	if !testkit.Poll(func() bool { return strings.Contains(log(), text) }) {
		t.Errorf("%s: the log has no %q:\n%s", name, text, log())
	}
}

// TestWrongPortBehindNginx: who has mixed up two addresses in nginx's configuration sees that on
// the page, and in the log of gatehouse.
func TestWrongPortBehindNginx(t *testing.T) {
	log := startAllProtocols(t)
	startNginx(t, "testdata/wrongport/nginx.conf")
	for _, c := range []struct {
		path, came, remedy string
		status             int
	}{
		{"/scgi/fastcgi", "SCGI came to a FastCGI listener", "nginx: use fastcgi_pass, not scgi_pass, for this address", 502},
		{"/scgi/unix", "SCGI came to a FastCGI listener", "fastcgi_pass", 502},
		{"/scgi/http", "SCGI came to an HTTP listener", "nginx: use proxy_pass, not scgi_pass, for this address", 502},
		{"/fastcgi/scgi", "FastCGI came to an SCGI listener", "nginx: use scgi_pass, not fastcgi_pass, for this address", 502},
		{"/fastcgi/unix", "FastCGI came to an SCGI listener", "scgi_pass", 502},
		{"/fastcgi/http", "FastCGI came to an HTTP listener", "nginx: use proxy_pass, not fastcgi_pass, for this address", 502},
		{"/uwsgi/fastcgi", "uwsgi came to a FastCGI listener", "nginx: use fastcgi_pass, not uwsgi_pass, for this address", 502},
		{"/uwsgi/scgi", "uwsgi came to an SCGI listener", "nginx: use scgi_pass, not uwsgi_pass, for this address", 502},
		{"/uwsgi/http", "uwsgi came to an HTTP listener", "nginx: use proxy_pass, not uwsgi_pass, for this address", 502},
		{"/http/fastcgi", "HTTP came to a FastCGI listener", "nginx: use fastcgi_pass, not proxy_pass, for this address", 400},
		{"/http/scgi", "HTTP came to an SCGI listener", "nginx: use scgi_pass, not proxy_pass, for this address", 400},
		{"/http/unix", "HTTP came to an SCGI listener", "scgi_pass", 400},
		{"/https/http", "TLS came to an HTTP listener", "", http.StatusBadGateway},
		{"/https/fastcgi", "TLS came to a FastCGI listener", "", http.StatusBadGateway},
	} {
		got := getURL(t, c.path)
		if got.status != c.status {
			t.Errorf("%s: status %d; want %d\n%s", c.path, got.status, c.status, got.body)
		}
		if c.remedy != "" && (!strings.Contains(got.body, c.came) || !strings.Contains(got.body, c.remedy)) {
			t.Errorf("%s: the page does not say what is wrong:\n%s", c.path, got.body)
		}
		wantLogged(t, c.path, log, `"msg":"`+c.came+`"`)
	}
	errors, err := os.ReadFile("/var/log/nginx/error.log")
	if want := `FastCGI sent in stderr: "FastCGI came to an SCGI listener: nginx: use scgi_pass`; err != nil || !strings.Contains(string(errors), want) {
		t.Errorf("nginx's log has no %s:\n%s%v", want, errors, err)
	}
}

// TestWrongPortOfOthers: TLS of curl, and the PROXY protocol of HAProxy.
func TestWrongPortOfOthers(t *testing.T) {
	log := startAllProtocols(t)
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:9000", "127.0.0.1:4000"} {
		out, err := exec.Command("/usr/bin/curl", "-sSk", "https://"+address+"/").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "wrong version number") {
			t.Errorf("curl to %s: %v, %s", address, err, out)
		}
	}
	wantLogged(t, "curl", log, `"msg":"TLS came to an HTTP listener","listener":"127.0.0.1:8080"`)
	wantLogged(t, "curl", log, `"msg":"TLS came to a FastCGI listener","listener":"127.0.0.1:9000"`)
	wantLogged(t, "curl", log, `"msg":"TLS came to an SCGI listener","listener":"127.0.0.1:4000"`)

	startHAProxy(t, "testdata/wrongport/haproxy.cfg")
	for path, status := range map[string]int{"/v1": 400, "/v2": 400, "/scgi": 400, "/fastcgi": 502} {
		got := getURL(t, path)
		if got.status != status || path != "/fastcgi" && !strings.Contains(got.body, "HAProxy: remove send-proxy") {
			t.Errorf("%s: %d, %s", path, got.status, got.body)
		}
	}
	wantLogged(t, "HAProxy", log, `"msg":"the PROXY protocol came to an HTTP listener"`)
	wantLogged(t, "HAProxy", log, `"msg":"the PROXY protocol came to an SCGI listener"`)
	wantLogged(t, "HAProxy", log, `"msg":"the PROXY protocol came to a FastCGI listener"`)
}
