package fastcgi

import (
	"io"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// TestEarlyAnswerIsNotLost: a web server that sends all of a long body before it reads
// gets the whole of an answer that did not wait for it, and a clean end.
func TestEarlyAnswerIsNotLost(t *testing.T) {
	body := strings.Repeat("x", 10<<20)
	big := strings.Repeat("y", 100_000)
	for _, tt := range []struct {
		name   string
		app    cgi.AppFunc
		limits cgi.Limits
		want   string
	}{
		{"small", cgi.AppFunc(hello), cgi.Limits{}, "Status: 200 OK"},
		{"big", func(w cgi.ResponseWriter, r *cgi.Request) error {
			cgi.EnableFullDuplex(w)
			w.StartResponse("200 OK", nil)
			_, err := io.WriteString(w, big)
			return err
		}, cgi.Limits{}, big},
		{"refused", cgi.AppFunc(hello), cgi.Limits{BodyBytes: 100}, "Status: 413 "},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(tt.name+" "+network, func(t *testing.T) {
				tt.limits.Linger = testkit.Patience
				ts := serve(t, network, &Server{App: tt.app, Limits: tt.limits})
				c := ts.dial()
				c.send(post(1, 0, body))
				if a := c.answer(1); !strings.Contains(a.stdout, tt.want) {
					t.Errorf("got %.100q", a.stdout)
				}
				if _, _, _, err := c.next(); err != io.EOF {
					t.Errorf("the connection ended with %v, want io.EOF", err)
				}
			})
		}
	}
}
