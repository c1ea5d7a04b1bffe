package fastcgi

import (
	"os"
	"strings"
	"testing"
)

func TestServerAllowUsers(t *testing.T) {
	me := uint32(os.Getuid())
	ts := serve(t, "unix", &Server{App: hello, AllowUsers: []uint32{me}})
	c := ts.dial()
	c.send(get(1, 0))
	if a := c.answer(1); a.stdout != helloAnswer {
		t.Errorf("got %q", a.stdout)
	}
	ts = serve(t, "unix", &Server{App: hello, AllowUsers: []uint32{me + 1}})
	ts.dial().closed()
	ts.Close()
	if log := ts.logs.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "(allow_users)") {
		t.Errorf("want one log line:\n%s", log)
	}
}
