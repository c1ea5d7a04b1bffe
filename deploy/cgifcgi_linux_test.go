package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// cgiFcgi runs cgi-fcgi, with which a CGI program's variables and body go to a
// FastCGI application, and returns the answer in CGI form and the exit status.
func cgiFcgi(t *testing.T, address, body string, variables ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/cgi-fcgi", "-bind", "-connect", address)
	cmd.Env = append([]string{
		"GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=localhost", "SERVER_PORT=80", "SCRIPT_NAME=/page",
		"CONTENT_LENGTH=" + strconv.Itoa(len(body)),
	}, variables...)
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if len(exit.Stderr) > 0 {
			t.Errorf("cgi-fcgi says %q", exit.Stderr)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestCgiFcgi: libfcgi's own client.
func TestCgiFcgi(t *testing.T) {
	startExercise(t, newExercise(), exerciseSocket, exercisePort)
	for network, address := range map[string]string{"unix": exerciseSocket, "tcp": exercisePort} {
		t.Run(network, func(t *testing.T) {
			for _, x := range []struct {
				method, page string
				n            int
				body         string
				status       string
				answer       string
				exit         int
			}{
				{method: "GET", page: "large", n: 100, status: "200 OK", answer: large(100)},
				{method: "GET", page: "large", n: 3 << 20, status: "200 OK", answer: large(3 << 20)},
				{method: "HEAD", page: "large", n: 100, status: "200 OK"},
				{method: "POST", page: "echo", status: "200 OK"},
				{method: "POST", page: "echo", body: large(1), status: "200 OK", answer: large(1)},
				{method: "POST", page: "echo", body: large(3 << 20), status: "200 OK", answer: large(3 << 20)},
				{method: "POST", page: "refused", body: large(1000), status: "413 Content Too Large", answer: "too large\n"},
				{method: "GET", page: "status", n: 204, status: "204 Status"},
				{method: "GET", page: "exit", n: 0, status: "200 OK", answer: "exit\n"},
				{method: "GET", page: "exit", n: 3, status: "200 OK", answer: "exit\n", exit: 3},
				{method: "GET", page: "exit", n: 255, status: "200 OK", answer: "exit\n", exit: 255},
			} {
				query := fmt.Sprintf("page=%s&n=%d", x.page, x.n)
				out, exit := cgiFcgi(t, address, x.body, "REQUEST_METHOD="+x.method, "QUERY_STRING="+query)
				head, answer, _ := strings.Cut(out, "\r\n\r\n")
				if !strings.HasPrefix(head+"\r\n", "Status: "+x.status+"\r\n") || answer != x.answer || exit != x.exit {
					t.Errorf("%s %s: head %q, %d bytes (%.50q), exit status %d; want status %s, %d bytes, %d",
						x.method, query, head, len(answer), answer, exit, x.status, len(x.answer), x.exit)
				}
			}
		})
	}
}
