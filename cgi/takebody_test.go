package cgi_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/cgi"
	"gatehouse/cgi/cgitest"
	"gatehouse/cgi/spool"
)

// TestTakeBody: how much of a body is waited for, and that it is whole.
func TestTakeBody(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 3*cgi.BodyAhead/16)
	for _, tt := range []struct {
		name      string
		length    int64 // of Request
		sent      int
		streaming bool
		ahead     int64
		code      int // of the error
	}{
		{"none", 0, 0, false, 0, 0},
		{"short", 5, 5, false, 5, 0},
		{"short, as it comes", 5, 5, true, 0, 0},
		{"long", 3 * cgi.BodyAhead, 3 * cgi.BodyAhead, false, cgi.BodyAhead, 0},
		{"long, as it comes", 3 * cgi.BodyAhead, 3 * cgi.BodyAhead, true, 0, 0},
		{"of unknown length", -1, 3 * cgi.BodyAhead, false, 3 * cgi.BodyAhead, 0},
		{"of unknown length, as it comes", -1, 5, true, 5, 0},
		{"of unknown length, too long", -1, 4*cgi.BodyAhead - 1, false, 0, 413},
		{"broken off", 10, 5, false, 0, 400},
		{"broken off later", 3 * cgi.BodyAhead, 2 * cgi.BodyAhead, false, cgi.BodyAhead, 400},
	} {
		r := cgitest.NewRequest(cgi.NewEnviron())
		long := text + text
		r.Body, r.ContentLength = iotest.OneByteReader(strings.NewReader(long[:tt.sent])), tt.length
		l := spool.Limits{Memory: 1000, Max: 3 * cgi.BodyAhead, Dir: t.TempDir(), Total: spool.NewBudget(0)}
		b, err := cgi.TakeBody(r, l, tt.streaming)
		if err == nil {
			if got := b.Ahead(); got != tt.ahead || b.Rest() == nil != (tt.ahead == b.Length) {
				t.Errorf("%s: %d bytes ahead, want %d", tt.name, got, tt.ahead)
			}
			var content []byte
			content, err = io.ReadAll(&b)
			if err == nil && (string(content) != long[:tt.sent] || b.Length != int64(tt.sent)) {
				t.Errorf("%s: %d bytes of %d", tt.name, len(content), b.Length)
			}
			if err != nil {
				err = cgi.BodyError(err)
			}
			b.Close()
		}
		var se *cgi.StatusError
		if err != nil && (!errors.As(err, &se) || se.Code != tt.code) || err == nil && tt.code != 0 {
			t.Errorf("%s: error %v, want %d", tt.name, err, tt.code)
		}
		if n := l.Total.Used(); n != 0 {
			t.Errorf("%s: %d bytes of the budget are left", tt.name, n)
		}
	}
}
