//go:build unix

package cgi

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Apache's mod_cgid gives a program one connected socket as standard input and
// output. To end with a part of the body unread would reset it, and the web server
// would see the answer broken.
func TestProgramOnASocket(t *testing.T) {
	for name, want := range map[string]string{"early": "\r\n\r\nearly", "closed": "\r\n\r\nclosed", "echo": `"` + strings.Repeat("b", 50_000) + `" <nil> proxy=""`} {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		theirs := os.NewFile(uintptr(fds[1]), "program")
		f := os.NewFile(uintptr(fds[0]), "server")
		ours, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		cmd := program(name, "REQUEST_METHOD=POST", "CONTENT_LENGTH=50000")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		theirs.Close()
		if _, err := io.WriteString(ours, strings.Repeat("b", 50_000)); err != nil {
			t.Errorf("%s: the body: %v", name, err)
		}
		got, err := io.ReadAll(ours)
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ours.Close()
	}
}
