package daemon

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/fastcgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

// TestUploads: a large body reaches a program over FastCGI as a whole, and one that
// reads no more of it responds all the same, on a connection that stays usable.
func TestUploads(t *testing.T) {
	dir := t.TempDir()
	head := "printf 'Content-Type: text/plain\\n\\n'\n"
	for name, text := range map[string]string{
		"all":  head + "wc -c",
		"some": "head -c 300000 >/dev/null\nexec 0<&-\n" + head + "sleep 0.1\necho 300000", // the rest comes meanwhile
		"none": "exec 0<&-\n" + head + "sleep 0.1\necho 0",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ParseConfig("g.toml", []byte("[[app]]\nscripts = \""+dir+"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	m, end, err := mountAll(c.Apps, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end() })
	l := testkit.Listen(t, "unix")
	s := &fastcgi.Server{App: m.app, Log: log}
	testkit.Serve(t, s, l, fastcgi.ErrServerClosed)
	peer := testkit.Dial(t, l.Addr())
	peer.SetDeadline(time.Now().Add(testkit.Patience))
	const size = 8 << 20
	responses := record.NewReader(peer)
	for name, want := range map[string]string{"all": strconv.Itoa(size), "some": "300000", "none": "0"} {
		var vars []byte
		for _, v := range [][2]string{{"REQUEST_METHOD", "POST"}, {"SCRIPT_NAME", "/" + name}, {"CONTENT_LENGTH", strconv.Itoa(size)}} {
			vars = record.AppendPair(vars, v[0], v[1])
		}
		b := record.AppendBegin(nil, 1, record.Responder, record.KeepConn)
		b = record.AppendHeader(record.AppendStream(b, record.Params, 1, vars), record.Params, 1, 0, 0)
		b = record.AppendHeader(record.AppendStream(b, record.Stdin, 1, make([]byte, size)), record.Stdin, 1, 0, 0)
		sent := make(chan error, 1)
		go func() {
			_, err := peer.Write(b)
			sent <- err
		}()
		var got bytes.Buffer
		for {
			h, content, err := responses.Next()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if h.Type() == record.EndRequest {
				break
			}
			got.Write(content)
		}
		if err := <-sent; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, text, _ := strings.Cut(got.String(), "\r\n\r\n"); strings.TrimSpace(text) != want {
			t.Errorf("%s: got %q, want %s", name, got.String(), want)
		}
	}
}
