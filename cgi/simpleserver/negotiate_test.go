package simpleserver

import (
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
)

func TestPrefersHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		"":    false,
		"*/*": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
		"text/html, application/xhtml+xml, */*":                           true,
		"text/html":                                                       true,
		"TEXT/HTML":                                                       true,
		"text/plain":                                                      false,
		"text/*":                                                          false,
		"text/html;q=0":                                                   false,
		"text/html;q=0.4, text/plain":                                     false,
		"text/html, text/plain":                                           false,
		"text/html, text/plain;q=0.999":                                   true,
		"text/html;q=0.5, */*;q=0.6":                                      false,
		"text/html;q=0.5,text/*;q=0.4":                                    true,
		"text/html;charset=utf-8":                                         true,
		"text/html;level=1":                                               false,
		"text/html;level=1, text/html;q=0":                                false,
		"text/html;q=2":                                                   false,
		"text/html;q=0.1234":                                              false,
		"text/html ; Q=1.000":                                             true,
		`text/x;a="b,text/html"`:                                          false,
		"application/json, text/html;q=.5":                                false,
		"text/html;q=0.5;x=y":                                             true,
		"image/png":                                                       false,
		",,text/html,":                                                    true,
	} {
		if got := prefersHTML(accept); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}

// demo runs DemoApp with the given variables.
func demo(t *testing.T, vars ...string) *cgitest.Recorder {
	t.Helper()
	p := new(cgitest.Recorder)
	if res := new(cgi.Handler).Run(&cgi.Request{Env: cgi.NewEnviron(vars...)}, p, cgi.AppFunc(DemoApp)); res.Err != nil {
		t.Fatal(res.Err)
	}
	return p
}

func TestDemoPage(t *testing.T) {
	p := demo(t, "REQUEST_METHOD=GET", "PATH_INFO=/<script>", "QUERY_STRING=a&b=\"'", "SERVER_PROTOCOL=HTTP/1.0", "HTTP_ACCEPT=text/html",
		"HTTP_X=caf\xe9\x01\x7f\n", "SERVER_NAME=s", "REMOTE_ADDR=1.2.3.4", "REMOTE_HOST=", "</td>=x")
	if v := p.Head.Fields[0].Value; v != "text/html; charset=utf-8" {
		t.Errorf("type %q", v)
	}
	body := p.Body.String()
	last := -1
	for _, part := range []string{
		"<!DOCTYPE html>", "GET /&lt;script&gt;?a&amp;b=&#34;&#39; HTTP/1.0",
		"<h2>Request</h2>", "REQUEST_METHOD</th>", "<h2>URL parts</h2>", "PATH_INFO</th><td>/&lt;script&gt;</td>",
		"<h2>Headers</h2>", "HTTP_X</th><td>café\u2401\ufffd\u240a</td>", "<h2>Server</h2>", "SERVER_NAME</th><td>s</td>",
		"<h2>Connection</h2>", `REMOTE_HOST</th><td><span class="empty">empty</span>`, "<h2>Other</h2>", "&lt;/td&gt;</th><td>x</td>", "</html>\n",
	} {
		i := strings.Index(body, part)
		if i <= last {
			t.Errorf("%q is at %d, after %d, in\n%s", part, i, last, body)
		}
		last = i
	}
	if strings.Contains(body, "<script") || strings.Contains(body, "http:") || strings.Contains(body, "https:") {
		t.Errorf("the page has what it must not:\n%s", body)
	}
	if text := demo(t, "HTTP_ACCEPT=*/*", "A=1").Body.String(); text != "Hello world!\n\nA = '1'\nHTTP_ACCEPT = '*/*'\n" {
		t.Errorf("got %q", text)
	}
}
