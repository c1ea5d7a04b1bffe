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
