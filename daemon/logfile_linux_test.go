package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gatehouse"
	"gatehouse/internal/testkit"
)

// TestReopenLosesNothing renames the access log and sends SIGUSR1, again and again, while
// clients make requests: each has its line, whole, in one of the files.
func TestReopenLosesNothing(t *testing.T) {
	dir := t.TempDir()
	path, socket := filepath.Join(dir, "log"), filepath.Join(dir, "s")
	d, err := Open(Config{
		HTTP:      []Address{{Kind: AddressUnix, Path: socket, Mode: 0o600}},
		Apps:      []App{{Prefix: "/", Kind: Hello()}},
		AccessLog: path,
	}, Environment{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	signals, served := make(chan os.Signal, 1), make(chan error, 1)
	go func() { served <- d.Serve(context.Background(), signals) }()
	target := &drainTarget{protocol: gatehouse.HTTP, network: "unix"}
	clients := startLoad(t, []*drainTarget{target}, []net.Addr{&net.UnixAddr{Net: "unix", Name: socket}})
	const files = 5
	for i := range files {
		clients.more(t, 20)
		testkit.Until(t, "a line in the log", func() bool { info, err := os.Stat(path); return err == nil && info.Size() > 0 })
		if err := os.Rename(path, fmt.Sprint(path, i)); err != nil {
			t.Fatal(err)
		}
		signals <- syscall.SIGUSR1
		testkit.Until(t, "the log is opened anew", func() bool { _, err := os.Stat(path); return err == nil })
	}
	clients.more(t, 20)
	clients.stop()
	signals <- syscall.SIGTERM
	if err := testkit.Receive(t, "the end", served); err != nil {
		t.Error(err)
	}
	lines := 0
	for _, name := range append([]string{""}, "0", "1", "2", "3", "4") {
		text, err := os.ReadFile(path + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			lines++
			if !bytes.HasPrefix(line, []byte("unix: - - [")) || !bytes.HasSuffix(line, []byte(" end=complete\n")) {
				t.Errorf("log%s has %q", name, line)
			}
		}
		if len(text) == 0 {
			t.Errorf("log%s is empty", name)
		}
	}
	if want := int(target.served.Load()); lines != want {
		t.Errorf("%d lines for %d requests", lines, want)
	}
}

// TestReopenDuringWrite: a write that is under way goes to the old file, the next one to the
// new one, and Reopen waits for neither.
func TestReopenDuringWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := openLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock() // as Write does
	for range 2 {
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	f.file.WriteString("old\n")
	f.mu.Unlock()
	f.Write([]byte("new\n"))
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{path + ".1": "old\n", path: "new\n"} {
		if got, err := os.ReadFile(name); string(got) != want {
			t.Errorf("%s: %q, %v; want %q", filepath.Base(name), got, err, want)
		}
	}
}
