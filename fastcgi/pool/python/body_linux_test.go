package python

import (
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
)

// TestBodyThatComesLater: a body of which nothing had come with the request is waited for, whichever
// way it is read, and also where it comes line by line.
func TestBodyThatComesLater(t *testing.T) {
	p := startPeer(t, "python3", testdata(t), "rules:app")
	p.awaitReady(t)
	const body = "one\ntwo\nthree"
	for calls, want := range map[string]string{
		"readline();readline();readline();readline()": "b'one\\n'\nb'two\\n'\nb'three'\nb''",
		"readline(2);readline(9)":                     "b'on'\nb'e\\n'",
		"readlines()":                                 "[b'one\\n', b'two\\n', b'three']",
		"list":                                        "[b'one\\n', b'two\\n', b'three']",
		"read(5);readline()":                          "b'one\\nt'\nb'wo\\n'",
		"read()":                                      "b'one\\ntwo\\nthree'",
		"__next__()":                                  "b'one\\n'",
	} {
		t.Run(calls, func(t *testing.T) {
			request := p.request(body, 4, completed(body, []string{"PATH_INFO=/later", "QUERY_STRING=" + calls})...)
			head := strings.Index(string(request), string(record.AppendRecord(nil, record.Stdin, p.id, []byte(body[:4]))))
			p.write(t, request[:head])
			if h, content, err := p.reader.Next(); err != nil || h.Type() != record.Stderr || string(content) != "now\n" {
				t.Fatalf("%v %q, %v", h, content, err)
			}
			p.write(t, request[head:])
			if _, got := p.read(t).split(); got != want {
				t.Errorf("read %s; want %s", got, want)
			}
		})
	}
}
