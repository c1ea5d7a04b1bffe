package upstream

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// TestGuard: an authorizer lets a request in by a complete response of 200, and by nothing
// else.
func TestGuard(t *testing.T) {
	tests := []struct {
		name   string
		serve  func(c *peerConn)
		status int
		body   string
	}{
		{"200", func(c *peerConn) {
			c.send(c.stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\nvariable-GROUP: staff\r\nX-Other: x\r\n\r\nignored"), c.end(0, 0))
		}, 200, "anna staff body"},
		{"200 without a variable", func(c *peerConn) { c.respond("") }, 200, "eve  body"},
		{"403", func(c *peerConn) {
			c.send(c.stdout("Status: 403 Forbidden\r\nX-Reason: no\r\nVariable-REMOTE_USER: anna\r\n\r\nnot you"), c.end(0, 0))
		}, 403, "not you"},
		{"302", func(c *peerConn) { c.send(c.stdout("Location: http://login/\r\n\r\n"), c.end(0, 0)) }, 302, ""},
		{"2000", func(c *peerConn) { c.send(c.stdout("Status: 2000 OK\r\n\r\n"), c.end(0, 0)) }, 503, ""},
		{"201", func(c *peerConn) { c.send(c.stdout("Status: 201 Created\r\n\r\n"), c.end(0, 0)) }, 201, ""},
		{"nothing", func(c *peerConn) { c.wait() }, 503, ""},
		{"truncated", func(c *peerConn) { c.send(c.stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\n\r\n")) }, 503, ""},
		{"truncated before the head", func(c *peerConn) {}, 503, ""},
		{"no head", func(c *peerConn) { c.send(c.end(0, 0)) }, 503, ""},
		{"another role", func(c *peerConn) { c.send(c.end(0, record.UnknownRole)) }, 503, ""},
		{"overloaded behind the head", func(c *peerConn) { c.send(c.stdout("Status: 200 OK\r\n\r\n"), c.end(0, record.Overloaded)) }, 503, ""},
		{"a variable that is none", func(c *peerConn) { c.send(c.stdout("Status: 200 OK\r\nVariable-A=B: x\r\n\r\n"), c.end(0, 0)) }, 503, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan map[string]string, 1)
			p := newPeer(t, "unix", func(c *peerConn) {
				vars, body, _ := c.receive()
				vars["body"] = body
				asked <- vars
				tt.serve(c)
			})
			a := newApp(t, Limits{FirstByte: 50 * time.Millisecond}, p)
			if tt.name != "nothing" {
				a.Limits.FirstByte = 0
			}
			app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				w.StartResponse("200 OK", nil)
				_, err = fmt.Fprint(w, r.Env.Get("REMOTE_USER"), " ", r.Env.Get("GROUP"), " ", string(body))
				return err
			})
			got, log := run(t, &Guard{Authorizer: a, App: app}, newRequest("POST", strings.NewReader("body"), "REMOTE_USER=eve", "CONTENT_LENGTH=4", "SCRIPT_NAME=/x", "PATH_INFO=/y"))
			if got.Head.Code != tt.status || tt.status != 503 && got.Body.String() != tt.body {
				t.Errorf("status %d, %q; want %d, %q\n%s", got.Head.Code, got.Body.String(), tt.status, tt.body, log)
			}
			if got.Field("X-Other") != "" || got.Field("Variable-REMOTE_USER") != "" || (got.Field("X-Reason") == "no") != (tt.status == 403) {
				t.Errorf("fields %v", got.Head.Fields)
			}
			vars := <-asked
			for _, name := range []string{"CONTENT_LENGTH", "SCRIPT_NAME", "PATH_INFO", "body"} {
				if vars[name] != "" {
					t.Errorf("the authorizer was sent %s=%q", name, vars[name])
				}
			}
			if vars["REMOTE_USER"] != "eve" || vars["REQUEST_METHOD"] != "POST" {
				t.Errorf("the authorizer was sent %q", vars)
			}
		})
	}
}
