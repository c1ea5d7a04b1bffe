package client

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"gatehouse/fastcgi/record"
)

// FuzzResponse has any bytes come for a request. If the response is complete, it is what
// its STDOUT records hold, joined; if they end before END_REQUEST, it never is; and how
// the bytes arrive makes no difference.
func FuzzResponse(f *testing.F) {
	for _, tt := range responseTests {
		f.Add([]byte(tt.sent))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		output, complete := joined(sent)
		head, got, err := receive(t, bytes.NewReader(sent))
		if (err == nil) != (complete && head != "") {
			t.Errorf("complete is %v, the error %v", complete, err)
		}
		if err == nil && !strings.HasSuffix(output, got) {
			t.Errorf("body %q, of the output %q", got, output)
		}
		slowHead, slowly, slowErr := receive(t, iotest.OneByteReader(bytes.NewReader(sent)))
		if slowHead != head || slowly != got || (slowErr == nil) != (err == nil) || err != nil && slowErr.Error() != err.Error() {
			t.Errorf("at once: %s, %q, %v\nby byte: %s, %q, %v", head, got, err, slowHead, slowly, slowErr)
		}
	})
}

// receive returns the status and the body of a response, and an error unless it is
// complete.
func receive(t *testing.T, r io.Reader) (status, body string, err error) {
	c := New(&script{in: r})
	defer c.Close()
	resp, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		return "", "", err
	}
	defer resp.Close()
	b, err := io.ReadAll(resp)
	return resp.Head.Status, string(b), err
}

// joined reads records in the plainest way, up to the END_REQUEST of request 1 or what is
// not allowed.
func joined(b []byte) (output string, complete bool) {
	ended := false // STDOUT is
	for len(b) >= record.HeaderLen {
		h := record.Header(b)
		n := record.HeaderLen + h.ContentLength()
		if h.Version() != record.Version1 || len(b) < n+h.PaddingLength() || h.ID() > 1 {
			return output, false
		}
		content := b[record.HeaderLen:n]
		b = b[n+h.PaddingLength():]
		if h.ID() == 0 {
			continue
		}
		switch h.Type() {
		case record.Stdout:
			if ended && len(content) > 0 {
				return output, false
			}
			ended = len(content) == 0
			output += string(content)
		case record.Stderr:
		case record.EndRequest:
			end, err := record.ParseEnd(content)
			return output, err == nil && end.ProtocolStatus == record.RequestComplete
		default:
			return output, false
		}
	}
	return output, false
}
