//go:build unix

package cgi

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const readProgram = `
import json, os, sys
from wsgiref import handlers
platform = sys.platform
answers = []
for case in json.load(sys.stdin):
    os.environ = {case['name']: case['value'], 'SERVER_SOFTWARE': case['software']}
    sys.platform = 'win32' if case['windows'] else platform
    answers.append({'value': handlers.read_environ()[case['name']], 'needs': handlers._needs_transcode(case['name'])})
json.dump(answers, sys.stdout)
`

// TestTranscodeIsPythons: transcode and needsTranscode do what wsgiref does, on Windows too.
func TestTranscodeIsPythons(t *testing.T) {
	type readCase struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Software string `json:"software"`
		Windows  bool   `json:"windows"`
	}
	var cases []readCase
	for _, name := range strings.Fields(`SCRIPT_NAME PATH_INFO QUERY_STRING REQUEST_METHOD AUTH_TYPE CONTENT_TYPE CONTENT_LENGTH HTTPS
		REMOTE_USER REMOTE_IDENT HTTP_X HTTP_ SSL_X SSL_ REDIRECT_PATH_INFO REDIRECT_REDIRECT_HTTP_X REDIRECT_ REDIRECT_URL REDIRECT_STATUS
		REQUEST_URI URL PATH_TRANSLATED SCRIPT_FILENAME DOCUMENT_ROOT DOCUMENT_URI SERVER_NAME REMOTE_ADDR REMOTE_HOST CERT_SUBJECT
		HTTP HTTPSX XHTTP_X PATH http_x path_info XREDIRECT_HTTP_X`) {
		for _, value := range []string{"", "/plain", "/\u00e9", "/\u00c3\u00a9\u00ff\u0080", "/\u20ac\u00e9", "\U0001f600"} {
			for _, software := range []string{"Microsoft-IIS/10.0", "microsoft-iis/", "Apache/2.4.66 (Win64)", "APACHE/2", "ApacheLike", "Apache",
				"SimpleHTTP/0.6 Python/3.11", "SimpleHTTP/0.6 Python/2.7", "nginx/1.22", ""} {
				cases = append(cases, readCase{name, value, software, true}, readCase{name, value, software, false})
			}
		}
	}
	var answers []struct {
		Value string
		Needs bool
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "-I", "-c", readProgram)
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 is needed to compare with wsgiref: %v\n%s", err, complaints.Bytes())
	}
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	for i, c := range cases {
		if got := needsTranscode(c.Name); got != answers[i].Needs {
			t.Errorf("needsTranscode(%q) is %v", c.Name, got)
		}
		got := transcode(c.Name, c.Value, c.Software, c.Windows)
		want := answers[i].Value
		if answers[i].Needs {
			// These are bytes, which Python shows as Latin-1, unless it left a character that is none.
			if b, ok := narrow(want); ok {
				want = b
			}
		}
		if got != want {
			t.Errorf("%+v: got %q, wsgiref has %q", c, got, want)
		}
	}
}

// narrow makes a byte of each character, as far as they are bytes.
func narrow(s string) (string, bool) {
	var b []byte
	for _, r := range s {
		if r > 0xff {
			return s, false
		}
		b = append(b, byte(r))
	}
	return string(b), true
}
