package namedpipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func listen(t *testing.T) *Listener {
	t.Helper()
	l, err := Listen(fmt.Sprintf(`\\.\pipe\gatehouse-%s-%d`, t.Name(), os.Getpid()), "D:P(A;;GA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestWindowsListener has several clients, which all get what was written before the close.
func TestWindowsListener(t *testing.T) {
	l := listen(t)
	if second, err := Listen(l.Addr().String(), "D:P(A;;GA;;;WD)"); err == nil {
		second.Close()
		if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil { // wine lets anybody
			t.Error("the name was taken twice")
		}
	}
	text := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.Read(make([]byte, 1))
				c.Write(text)
			}()
		}
	}()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			c, err := Dial(l.Addr().String())
			for errors.Is(err, windows.ERROR_PIPE_BUSY) {
				time.Sleep(time.Millisecond)
				c, err = Dial(l.Addr().String())
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.Write([]byte("x"))
			time.Sleep(10 * time.Millisecond) // mostly, the other end is closed by now
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(text))
			}
		})
	}
	clients.Wait()
}

// TestWindowsListenerClose ends an Accept that waits, and frees the name.
func TestWindowsListenerClose(t *testing.T) {
	l := listen(t)
	done := make(chan error)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v; want %v", err, net.ErrClosed)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v; want %v", err, net.ErrClosed)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second Close: %v; want %v", err, net.ErrClosed)
	}
	again, err := Listen(l.Addr().String(), "D:P(A;;GA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestWindowsListenerDescriptor refuses what is no SDDL.
func TestWindowsListenerDescriptor(t *testing.T) {
	if _, err := Listen(`\\.\pipe\gatehouse-x`, "everybody"); err == nil {
		t.Error("no error")
	}
}
