//go:build unix

package iis

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// python runs a program with cases as JSON on its standard input, and reads what it
// prints into answers. Strings pass as Latin-1: each character is a byte.
func python(t *testing.T, program string, cases, answers any) {
	t.Helper()
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(testkit.Python(t, in, "-c", program), answers); err != nil {
		t.Fatal(err)
	}
}

// pathParts make paths that resemble each other.
var pathParts = []string{"/", "/", "/app", "/app", "app", "/APP", "/a", "p", "lication", "//", "/.", "/..", "\xe9", "/\xc3\xa9", "%2F", "?", "\xff"}

func randomPath(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(4) {
		b.WriteString(pathParts[rnd.IntN(len(pathParts))])
	}
	return b.String()
}

const dedupProgram = `
import json, os, sys
from wsgiref import handlers
def bytewise(env):
    return {os.fsencode(k): v.encode('latin-1') for k, v in env.items()}
answers = []
for case in json.load(sys.stdin):
    os.environb.clear()
    for k, v in bytewise(case).items():
        os.environb[k] = v
    env = handlers.IISCGIHandler().base_env
    answers.append({k: env[k] for k in ('SCRIPT_NAME', 'PATH_INFO') if k in env})
json.dump(answers, sys.stdout)
`

// DedupPathInfo does what wsgiref does.
func TestDedupPathInfoIsPythons(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var cases []map[string]string
	var envs []*cgi.Environ
	for range 5000 {
		env := new(cgi.Environ)
		script := randomPath(rnd)
		if rnd.IntN(8) > 0 {
			env.Set("SCRIPT_NAME", script)
		}
		if info := randomPath(rnd); rnd.IntN(8) > 0 {
			if rnd.IntN(2) > 0 {
				info = script + info
			}
			env.Set("PATH_INFO", info)
		}
		sent := make(map[string]string)
		for name, value := range env.All() {
			sent[name] = testkit.Latin1(value)
		}
		cases, envs = append(cases, sent), append(envs, env)
	}
	var answers []map[string]string
	python(t, dedupProgram, cases, &answers)
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	changes := 0
	for i, env := range envs {
		before := strings.Join(env.Strings(), "|")
		changed := DedupPathInfo(env)
		if changed {
			changes++
		}
		if changed != (strings.Join(env.Strings(), "|") != before) {
			t.Errorf("%q: changed is %v", before, changed)
		}
		got := make(map[string]string)
		for name, value := range env.All() {
			got[name] = testkit.Latin1(value)
		}
		if fmt.Sprint(got) != fmt.Sprint(answers[i]) {
			t.Errorf("%q: got %q, wsgiref has %q", before, got, answers[i])
		}
	}
	if changes < len(cases)/10 || changes > len(cases)*9/10 {
		t.Errorf("%d of %d cases are changed: they test little", changes, len(cases))
	}
}

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

// Transcode and NeedsTranscode do what wsgiref does, on Windows too.
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
	python(t, readProgram, cases, &answers)
	if len(answers) != len(cases) {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	for i, c := range cases {
		if got := cgi.NeedsTranscode(c.Name); got != answers[i].Needs {
			t.Errorf("NeedsTranscode(%q) is %v", c.Name, got)
		}
		got := cgi.Transcode(c.Name, c.Value, c.Software, c.Windows)
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

// narrow undoes Latin1.
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
