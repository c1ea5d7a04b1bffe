package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"

	"gatehouse/fastcgi/record"
)

// vars are variables, written "NAME=VALUE".
func vars(list ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, v := range list {
			if name, value, _ := strings.Cut(v, "="); !yield(name, value) {
				return
			}
		}
	}
}

const (
	begin1 = "\x01\x01\x00\x01\x00\x08\x00\x00"
	noMore = "\x00\x00\x00\x00\x00"
	params = "\x01\x04\x00\x01\x00\x05\x03\x00" + "\x01\x02Abb" + "\x00\x00\x00"
	// The ends of streams.
	endParams = "\x01\x04\x00\x01\x00\x00\x00\x00"
	endStdin  = "\x01\x05\x00\x01\x00\x00\x00\x00"
	endData   = "\x01\x08\x00\x01\x00\x00\x00\x00"
)

func TestRequestBytes(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  Request
		want string
	}{
		{"nothing", Request{}, begin1 + "\x00\x01\x00" + noMore + endParams + endStdin},
		{"kept", Request{KeepConn: true}, begin1 + "\x00\x01\x01" + noMore + endParams + endStdin},
		{"variables", Request{Params: vars("A=bb")}, begin1 + "\x00\x01\x00" + noMore + params + endParams + endStdin},
		{"id", Request{ID: 0xabcd}, "\x01\x01\xab\xcd\x00\x08\x00\x00\x00\x01\x00" + noMore +
			"\x01\x04\xab\xcd\x00\x00\x00\x00" + "\x01\x05\xab\xcd\x00\x00\x00\x00"},
		{"body", Request{Stdin: strings.NewReader("body")}, begin1 + "\x00\x01\x00" + noMore + endParams +
			"\x01\x05\x00\x01\x00\x04\x04\x00body\x00\x00\x00\x00" + endStdin},
		{"body of unknown length", Request{Stdin: io.MultiReader(strings.NewReader("bo"), strings.NewReader("dy"))},
			begin1 + "\x00\x01\x00" + noMore + endParams +
				"\x01\x05\x00\x01\x00\x02\x06\x00bo\x00\x00\x00\x00\x00\x00" +
				"\x01\x05\x00\x01\x00\x02\x06\x00dy\x00\x00\x00\x00\x00\x00" + endStdin},
		{"authorizer", Request{Role: record.Authorizer}, begin1 + "\x00\x02\x00" + noMore + endParams + endStdin},
		{"filter", Request{Role: record.Filter, Stdin: bytes.NewReader([]byte("8 bytes.")), Data: strings.NewReader("d")},
			begin1 + "\x00\x03\x00" + noMore + endParams + "\x01\x05\x00\x01\x00\x08\x00\x008 bytes." + endStdin +
				"\x01\x08\x00\x01\x00\x01\x07\x00d\x00\x00\x00\x00\x00\x00\x00" + endData},
		{"filter, unknown lengths", Request{Role: record.Filter, Stdin: io.LimitReader(strings.NewReader("s"), 9), Data: io.LimitReader(strings.NewReader("d"), 9)},
			begin1 + "\x00\x03\x00" + noMore + endParams + "\x01\x05\x00\x01\x00\x01\x07\x00s\x00\x00\x00\x00\x00\x00\x00" + endStdin +
				"\x01\x08\x00\x01\x00\x01\x07\x00d\x00\x00\x00\x00\x00\x00\x00" + endData},
		{"filter of nothing", Request{Role: record.Filter}, begin1 + "\x00\x03\x00" + noMore + endParams + endStdin + endData},
		{"a role that there is not", Request{Role: 0x1234}, begin1 + "\x12\x34\x00" + noMore + endParams + endStdin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, far := pipe(t)
			var got bytes.Buffer
			wait := meanwhile(func() {
				io.CopyN(&got, far, int64(len(tt.want)))
				far.send(hello(max(tt.req.ID, 1)))
			})
			r, err := c.Do(t.Context(), &tt.req)
			wait()
			if got.String() != tt.want {
				t.Errorf("got %q\nwant %q", got.String(), tt.want)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if b := body(t, r); b != "hello" {
				t.Errorf("body %q", b)
			}
		})
	}
}

// TestParamsRecords: pairs are not split, unless one is longer than a record.
func TestParamsRecords(t *testing.T) {
	long := func(n int) string { return "V=" + strings.Repeat("v", n) }
	for _, tt := range []struct {
		vars    []string
		records []int
	}{
		{[]string{"A=b"}, []int{4}},
		{[]string{long(40_000), "A=b", long(30_000)}, []int{40_010, 30_006}},
		{[]string{long(40_000), long(40_000), long(40_000)}, []int{40_006, 40_006, 40_006}},
		{[]string{long(record.MaxAligned - 6), "A=b"}, []int{record.MaxAligned, 4}},
		{[]string{"A=b", long(70_000), "A=b"}, []int{4, record.MaxAligned, 70_006 - record.MaxAligned, 4}},
	} {
		req := Request{Params: vars(tt.vars...)}
		b, err := req.appendBegin(nil, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := record.NewReader(bytes.NewReader(b))
		var lengths []int
		var pairs []byte
		for {
			h, content, err := r.Next()
			if err != nil {
				break
			}
			if h.Type() == record.Params && len(content) > 0 {
				lengths = append(lengths, len(content))
				pairs = append(pairs, content...)
			}
		}
		if len(lengths) != len(tt.records) {
			t.Fatalf("records of %v; want %v", lengths, tt.records)
		}
		for i := range lengths {
			if lengths[i] != tt.records[i] {
				t.Errorf("records of %v; want %v", lengths, tt.records)
			}
		}
		for _, v := range tt.vars {
			name, value, rest, err := record.NextPair(pairs)
			if err != nil || string(name)+"="+string(value) != v {
				t.Fatalf("a pair %.20q=%.20q, %v; want %.20q", name, value, err, v)
			}
			pairs = rest
		}
	}
}

func TestParamsBytes(t *testing.T) {
	for _, tt := range []struct {
		limit int
		vars  []string
		ok    bool
	}{
		{10, []string{"A=b", "C=d"}, true},
		{7, []string{"A=b", "C=d"}, false},
		{0, []string{"A=" + strings.Repeat("v", 1<<20-6)}, true},
		{0, []string{"A=" + strings.Repeat("v", 1<<20)}, false},
		{0, []string{"A=" + strings.Repeat("v", 1<<19), "B=" + strings.Repeat("v", 1<<19)}, false},
		{-1, []string{"A=" + strings.Repeat("v", 2<<20)}, true},
	} {
		c, s := scripted(hello(1))
		c.ParamsBytes = tt.limit
		r, err := c.Do(t.Context(), &Request{Params: vars(tt.vars...), KeepConn: true})
		if tt.ok {
			if err != nil {
				t.Errorf("%d: %v", tt.limit, err)
				continue
			}
			r.Close()
			continue
		}
		if !errors.Is(err, ErrParamsBytes) || s.written() != "" || c.Err() != nil {
			t.Errorf("%d: error %v, %d bytes sent, the connection: %v", tt.limit, err, len(s.written()), c.Err())
		}
	}
}

// A stream counts how often it is closed.
type closing struct {
	io.Reader
	closed int
}

func (s *closing) Close() error {
	s.closed++
	return nil
}

// TestStreamsAreClosed: once, whatever becomes of the request.
func TestStreamsAreClosed(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		sent string
		req  Request
		ok   bool
	}{
		"read":      {t.Context(), hello(1), Request{}, true},
		"refused":   {t.Context(), ended(1, 0, record.Overloaded), Request{}, false},
		"truncated": {t.Context(), "", Request{}, false},
		"cancelled": {cancelled, "", Request{}, false},
		"params":    {t.Context(), "", Request{Params: vars("A=" + strings.Repeat("v", 2<<20))}, false},
	} {
		c, _ := scripted(tt.sent)
		stdin, data := &closing{Reader: strings.NewReader("s")}, &closing{Reader: strings.NewReader("d")}
		tt.req.Role, tt.req.Stdin, tt.req.Data = record.Filter, stdin, data
		r, err := c.Do(tt.ctx, &tt.req)
		if (err == nil) != tt.ok {
			t.Errorf("%s: error %v", name, err)
		}
		if err == nil {
			r.Close()
			r.Close()
		}
		if stdin.closed != 1 || data.closed != 1 {
			t.Errorf("%s: closed %d and %d times", name, stdin.closed, data.closed)
		}
	}
	c, _ := scripted(hello(1))
	data := &closing{Reader: strings.NewReader("d")}
	if _, err := c.Do(t.Context(), &Request{Data: data}); err == nil || data.closed != 1 {
		t.Errorf("data for a Responder: %v, closed %d times", err, data.closed)
	}
}
