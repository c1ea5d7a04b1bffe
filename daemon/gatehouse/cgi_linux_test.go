package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"gatehouse/fastcgi/record"
	application "gatehouse/internal/testkit/peer"
)

// TestCGIUnread: gatehouse cgi ends by itself, and not by SIGPIPE, if nobody reads its response
// or its log.
func TestCGIUnread(t *testing.T) {
	p := application.New(t, "unix", func(c *application.Conn) {
		c.Receive()
		c.Send(c.Stderr("a complaint\n"), c.Stdout(application.Head+application.Text(200_000)), c.End(0, record.RequestComplete))
	})
	for _, unread := range []string{"stdout", "stderr"} {
		cmd := exec.Command("gatehouse", "cgi", "--fastcgi", "unix:"+p.Addr().String())
		cmd.Env = append(os.Environ(), "GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "QUERY_STRING=")
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		want := 0
		if unread == "stdout" {
			cmd.Stdout, want = w, 1
		} else {
			cmd.Stderr = w
		}
		err = cmd.Run()
		w.Close()
		if cmd.ProcessState.ExitCode() != want {
			t.Errorf("%s: %v, want exit status %d\n%s", unread, err, want, &log)
		}
		if unread == "stderr" && !bytes.HasSuffix(out.Bytes(), []byte(application.Text(200_000))) {
			t.Errorf("%s: %d bytes of the response", unread, out.Len())
		}
	}
}
