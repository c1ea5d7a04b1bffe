package python

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// wsgirefRequest and wsgirefResponse are what testdata/reference.py reads and writes.
type wsgirefRequest struct {
	Vars []string
	Body string
}

type wsgirefResponse struct{ Stdout, Stderr, Seen string }

// differences are the rules of which the response of wsgiref is another one, and why. The name of a rule may be the
// beginning of several.
var differences = map[string]string{
	"an empty iterator":        "an empty block sends no head, so that the length is known to be 0",
	"an error of the iterable": "an empty block sends no head",
	"late":                     "start_response may be called behind empty blocks",
	"END with the block that reaches the length": onlyLength,
	"too long in": onlyLength, "a part of a file": onlyLength, "write of too much": onlyLength,
	"a file":    "the length of a regular file is known",
	"no length": "a Content-Length that is no number is refused",
	"HEAD":      "a response to HEAD has no body, and the length of one only where it is known",
	"204":       "the status has no body, and no length", "304": "the status has no body, and no length",
	"a list that changes":                  "the fields are those at the time of the call",
	"start_response '200 OK', [('X-\\xe9'": tokens, "start_response '200 OK', [('A\\n'": tokens, "start_response '200 OK', [('A:'": tokens, "start_response '200 OK', [(''": tokens,
	"start_response '100 Continue'": "an interim response is no response",
	"start_response '200 O\\n":      control, "start_response '200 O\\x7f": control, "start_response '200 OK', [('A', 'b\\r": control, "start_response '200 OK', [('A', 'b\\0": control,
	"start_response '200 OK', [('A', 'b\\u20ac": latin, "start_response '200 \\u20ac": latin, "a lone surrogate": latin,
	"start_response '200 OK', [('Status'": "the status is not set twice",
	"an error in close, behind the end":   "the response has ended",
	"a short body":                        inputs, "no body in spite of its length": inputs, "a body that is too long": inputs, "an input of an earlier request": inputs,
}

const (
	onlyLength = "what exceeds Content-Length is cut"
	tokens     = "the name of a field is a token"
	control    = "wsgiref has this rule since 2026"
	latin      = "what cannot be sent is an error of the call"
	inputs     = "wsgiref leaves the length of wsgi.input to the application"
)

// differs returns why wsgiref responds in another way to a rule, or "".
func differs(name string) (key string) {
	for k := range differences {
		if strings.HasPrefix(name, k) {
			return k
		}
	}
	return ""
}

// TestWsgiref: wsgiref responds as the rules say, but where they say how it differs.
func TestWsgiref(t *testing.T) {
	var requests []wsgirefRequest
	for _, r := range rules {
		var vars []string
		for _, v := range completed(r.body, append([]string{"PATH_INFO=/" + r.app, "QUERY_STRING=" + r.query}, r.vars...)) {
			vars = append(vars, testkit.Latin1(v))
		}
		requests = append(requests, wsgirefRequest{vars, r.body})
	}
	input, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", "testdata/reference.py")
	cmd.Stdin = strings.NewReader(string(input))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 testdata/reference.py: %v\n%s", err, stderr.String())
	}
	var responses []wsgirefResponse
	if err := json.Unmarshal(out, &responses); err != nil || len(responses) != len(rules) {
		t.Fatalf("%d responses, %v", len(responses), err)
	}
	used := make(map[string]bool)
	for i, r := range rules {
		got := responses[i]
		head, body, _ := strings.Cut(got.Stdout, "\r\n\r\n")
		head = strings.ReplaceAll(head, "\r\n", "\n")
		wantHead, wantBody := testkit.Latin1(r.head), testkit.Latin1(r.out)
		if r.head == "500" {
			wantHead, wantBody = errorHead, errorBody
		}
		if r.blocks != nil {
			wantBody = strings.Join(r.blocks, "")
		}
		if r.app == "read" {
			head = strings.Join(strings.Split(head, "\n")[:2], "\n")
		}
		key := differs(r.name)
		if head == wantHead && body == wantBody {
			continue
		}
		if used[key] = true; key == "" {
			t.Errorf("%s: wsgiref responds\n%s\n\n%.300s\nand not\n%s\n\n%.300s", r.name, head, body, wantHead, wantBody)
		}
	}
	for key, reason := range differences {
		if !used[key] && reason != control {
			t.Errorf("%s: no difference", key)
		}
	}
}
