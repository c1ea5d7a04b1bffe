//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/cgi"
	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(peerVariable); name != "" { // this binary is a side of a row
		if err := servePeer(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// TestRows measures each row, too briefly for its numbers to mean anything: both sides
// start, answer what is wanted under the load, and end.
func TestRows(t *testing.T) {
	w, err := newWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			ours, peers, ratios, err := measure(w, r, 1, 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if len(ours) != 1 || len(peers) != 1 || len(ratios) != 1 || ours[0] <= 0 || peers[0] <= 0 || ratios[0] != ours[0]/peers[0] {
				t.Errorf("ours %v, peer %v, ratios %v", ours, peers, ratios)
			}
		})
	}
}

// TestWrongAnswersAreNoSpeed: a side that answers something else ends the measurement.
func TestWrongAnswersAreNoSpeed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &fastcgi.Server{Log: slog.New(slog.DiscardHandler), App: cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err := io.WriteString(w, "something else\n")
		return err
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	for _, keep := range []bool{false, true} {
		if _, err := (load{connections: 2, keep: keep}).run(socket, time.Millisecond); err == nil || !strings.Contains(err.Error(), "not hello world") {
			t.Errorf("run returned %v", err)
		}
	}
}

// TestRequest: what is sent is one request of the common variables.
func TestRequest(t *testing.T) {
	r := record.NewReader(bytes.NewReader(load{keep: true}.script("/a/hello").request()))
	var types []string
	var pairs []byte
	for {
		h, content, err := r.Next()
		if err != nil {
			break
		}
		types = append(types, h.Type().String())
		if h.Type() == record.Params {
			pairs = append(pairs, content...)
		}
	}
	if got := strings.Join(types, " "); got != "FCGI_BEGIN_REQUEST FCGI_PARAMS FCGI_PARAMS FCGI_STDIN" {
		t.Errorf("records %s", got)
	}
	vars := make(map[string]string)
	for len(pairs) > 0 {
		name, value, rest, err := record.NextPair(pairs)
		if err != nil {
			t.Fatal(err)
		}
		vars[string(name)], pairs = string(value), rest
	}
	if len(vars) != 25 || vars["SCRIPT_FILENAME"] != "/a/hello" {
		t.Errorf("%d variables, SCRIPT_FILENAME %q", len(vars), vars["SCRIPT_FILENAME"])
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 1, 100}, 5}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}
