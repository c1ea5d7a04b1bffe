package upstream

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit/peer"
)

// TestGuard: an authorizer lets a request in by a complete response of 200, and by nothing
// else.
func TestGuard(t *testing.T) {
	tests := []struct {
		name   string
		serve  func(c *peer.Conn)
		status int
		body   string
	}{
		{"200", func(c *peer.Conn) {
			c.Send(c.Stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\nvariable-GROUP: staff\r\nX-Other: x\r\n\r\nignored"), c.End(0, 0))
		}, 200, "anna staff body"},
		{"200 without a variable", func(c *peer.Conn) { c.Respond("") }, 200, "eve  body"},
		{"403", func(c *peer.Conn) {
			c.Send(c.Stdout("Status: 403 Forbidden\r\nX-Reason: no\r\nVariable-REMOTE_USER: anna\r\n\r\nnot you"), c.End(0, 0))
		}, 403, "not you"},
		{"302", func(c *peer.Conn) { c.Send(c.Stdout("Location: http://login/\r\n\r\n"), c.End(0, 0)) }, 302, ""},
		{"2000", func(c *peer.Conn) { c.Send(c.Stdout("Status: 2000 OK\r\n\r\n"), c.End(0, 0)) }, 503, ""},
		{"201", func(c *peer.Conn) { c.Send(c.Stdout("Status: 201 Created\r\n\r\n"), c.End(0, 0)) }, 201, ""},
		{"nothing", func(c *peer.Conn) { c.Wait() }, 503, ""},
		{"truncated", func(c *peer.Conn) { c.Send(c.Stdout("Status: 200 OK\r\nVariable-REMOTE_USER: anna\r\n\r\n")) }, 503, ""},
		{"truncated before the head", func(c *peer.Conn) {}, 503, ""},
		{"no head", func(c *peer.Conn) { c.Send(c.End(0, 0)) }, 503, ""},
		{"another role", func(c *peer.Conn) { c.Send(c.End(0, record.UnknownRole)) }, 503, ""},
		{"overloaded behind the head", func(c *peer.Conn) { c.Send(c.Stdout("Status: 200 OK\r\n\r\n"), c.End(0, record.Overloaded)) }, 503, ""},
		{"a variable that is none", func(c *peer.Conn) { c.Send(c.Stdout("Status: 200 OK\r\nVariable-A=B: x\r\n\r\n"), c.End(0, 0)) }, 503, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan map[string]string, 1)
			p := peer.New(t, "unix", func(c *peer.Conn) {
				vars, body, _ := c.Receive()
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
