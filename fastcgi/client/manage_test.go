package client

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"

	"gatehouse/fastcgi/record"
)

func TestGetValues(t *testing.T) {
	result := func(content string) string {
		return string(record.AppendRecord(nil, record.GetValuesResult, 0, []byte(content)))
	}
	for _, tt := range []struct {
		name, sent string
		want       map[string]string
		err        string
	}{
		{"values", result("\x0e\x02FCGI_MAX_CONNS10" + "\x0f\x01FCGI_MPXS_CONNS1"), map[string]string{MaxConns: "10", MpxsConns: "1"}, ""},
		{"none", result(""), map[string]string{}, ""},
		{"cut short", result("\x0e\x02FCGI"), nil, "FCGI_GET_VALUES_RESULT record for id 0: fastcgi: name-value pair is cut short"},
		{"unknown", string(record.AppendUnknownType(nil, record.GetValues)), nil, "FCGI_UNKNOWN_TYPE record for id 0: not a FCGI_GET_VALUES_RESULT"},
		{"closed", "", nil, "fastcgi: the connection ended after 0 bytes of the response: EOF"},
		{"a response", hello(1), nil, "fastcgi: the connection ended after 0 bytes of the response: fastcgi: FCGI_STDOUT record for id 1: no such request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := scripted(tt.sent)
			defer c.Close()
			got, err := c.GetValues(t.Context(), MaxConns, MpxsConns)
			if !maps.Equal(got, tt.want) || tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err && err.Error() != "fastcgi: "+tt.err) {
				t.Errorf("%v, %v; want %v, %s", got, err, tt.want, tt.err)
			}
			if want := "\x01\x09\x00\x00\x00\x21\x07\x00\x0e\x00FCGI_MAX_CONNS\x0f\x00FCGI_MPXS_CONNS\x00\x00\x00\x00\x00\x00\x00"; s.written() != want {
				t.Errorf("sent %q; want %q", s.written(), want)
			}
		})
	}
}

// TestManageWithin: management records have their place between those of requests.
func TestManageWithin(t *testing.T) {
	c, far := pipe(t)
	wait := meanwhile(func() {
		far.until(record.Stdin, 1)
		far.send(stdout(1, "A: b\n\nx"))
		if content := far.until(100, 0); content != "who knows" {
			t.Errorf("content %q", content)
		}
		far.send(stdout(1, "y"), string(record.AppendUnknownType(nil, 100)), stdout(1, "z"), ended(1, 0, 0))
	})
	r, err := c.Do(t.Context(), &Request{KeepConn: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	typ, content, err := c.Manage(t.Context(), 100, []byte("who knows"))
	if err != nil || typ != record.UnknownType || string(content) != "\x64\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%v, %q, %v", typ, content, err)
	}
	if b := body(t, r); b != "xyz" {
		t.Errorf("body %q", b)
	}
	wait()
}

// TestManageTurns: one call after the other.
func TestManageTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe(t)
		answer := make(chan struct{})
		wait := meanwhile(func() {
			far.until(100, 0)
			<-answer
			far.send(string(record.AppendUnknownType(nil, 100)))
			far.until(101, 0)
			far.send(string(record.AppendUnknownType(nil, 101)))
		})
		ask := func(ctx context.Context, typ record.Type, want error) (wait func()) {
			wait = meanwhile(func() {
				got, content, err := c.Manage(ctx, typ, nil)
				if err != want || err == nil && (got != record.UnknownType || record.Type(content[0]) != typ) {
					t.Errorf("%v: %v, %q, %v", typ, got, content, err)
				}
			})
			synctest.Wait()
			return wait
		}
		first := ask(t.Context(), 100, nil)
		ctx, cancel := context.WithCancel(t.Context())
		second := ask(ctx, 102, context.Canceled)
		cancel()
		second()
		third := ask(t.Context(), 101, nil)
		close(answer)
		first()
		third()
		wait()
	})
}

func TestManageBounds(t *testing.T) {
	c, s := scripted()
	defer c.Close()
	if _, _, err := c.Manage(t.Context(), record.GetValues, make([]byte, record.MaxContent+1)); err == nil || s.written() != "" {
		t.Errorf("content that no record holds: %v", err)
	}
	c.Close()
	if _, err := c.GetValues(t.Context(), MaxReqs); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
