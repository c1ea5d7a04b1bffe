package deploy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fcgidProgram is where apache/go-application-fcgid.conf expects the program.
const fcgidProgram = "/usr/local/lib/fcgi-bin/application"

// startFcgid installs a program that runs gatehouse serve, and Apache, which starts
// it as a FastCGI application: with the listening socket as descriptor 0. The other
// two may be closed (FastCGI 1.0 § 2.2), and are.
func startFcgid(t *testing.T, file string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\nexec %s serve --app /=hello --app /demo=demo >&- 2>&-\n", filepath.Join(workspace, "gatehouse"))
	if err := os.MkdirAll(filepath.Dir(fcgidProgram), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fcgidProgram, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(fcgidProgram) })
	startFcgidApache(t, file)
}

var (
	fcgidEnd = regexp.MustCompile(`mod_fcgid: process .* exit\(([a-z ]+)\), (.*)`)
)

// startFcgidApache starts Apache with mod_fcgid, and sees to it that each of the
// processes that this starts ends by itself on its SIGTERM, with status 0.
func startFcgidApache(t *testing.T, file string) {
	t.Helper()
	t.Cleanup(func() {
		log, err := os.ReadFile(apacheLog)
		if err != nil {
			t.Fatal(err)
		}
		ends := fcgidEnd.FindAllStringSubmatch(string(log), -1)
		if len(ends) == 0 {
			t.Errorf("Apache's log names no process that ended\n%s", log)
		}
		for _, end := range ends {
			if !strings.HasSuffix(end[2], "terminated by calling exit(), return code: 0") {
				t.Errorf("a process ended so: %s, %s", end[1], end[2])
			}
		}
	})
	startApacheWith(t, file, "LogLevel fcgid:info")
}

// TestFcgid passes all kinds of requests to a Go program that Apache starts.
func TestFcgid(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	install(t, self, fcgidProgram, 0o755)
	startFcgidApache(t, "apache/go-application-fcgid.conf")
	exchange(t, "/application/exercise")
	wantPage(t, "/application/an%20item?colour=blue", "text/plain",
		"GET /application/an item from /application\n", "colour is blue, shape is \n")
	if got := getURL(t, "/elsewhere"); got.status != http.StatusNotFound {
		t.Errorf("status %d; want 404", got.status)
	}
}
