package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/testkit"
)

// A burst of lines, more than a LogWriter holds, reaches a file, and a pipe whose reader
// takes little at a time.
func TestLogWriterLosesNothing(t *testing.T) {
	const lines = 10_000
	line := func(i int) string { return fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%400)) }
	var want strings.Builder
	for i := range lines {
		want.WriteString(line(i))
	}
	burst := func(t *testing.T, w io.Writer) {
		l := NewLogWriter(w)
		for i := range lines {
			io.WriteString(l, line(i))
		}
		if err := l.Flush(); err != nil {
			t.Error(err)
		}
	}
	check := func(t *testing.T, got []byte) {
		if string(got) != want.String() {
			t.Errorf("%d bytes in %d lines; want %d in %d", len(got), bytes.Count(got, newline), want.Len(), lines)
		}
	}
	t.Run("pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		go func() {
			defer w.Close()
			burst(t, w)
		}()
		var got []byte
		for buf := make([]byte, 3000); err == nil; {
			var n int
			n, err = r.Read(buf)
			got = append(got, buf[:n]...)
		}
		check(t, got)
	})
	t.Run("file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		burst(t, f)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		check(t, got)
	})
}

// A stuck writer takes nothing until it is let go.
type stuck struct {
	bytes.Buffer
	release chan struct{}
	odd     []string // writes that are no whole lines, or long
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	if !bytes.HasSuffix(p, newline) || len(p) > logWrite {
		s.odd = append(s.odd, fmt.Sprintf("%d bytes, to %q", len(p), p[len(p)-1]))
	}
	return s.Buffer.Write(p)
}

// What nobody takes is held, and then dropped and counted, and nobody waits for it for longer
// than two seconds.
func TestLogWriterDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &stuck{release: make(chan struct{})}
		l := NewLogWriter(to)
		begin := time.Now()
		const size, lines = 100, 20_000
		for i := range lines {
			fmt.Fprintf(l, "%0*d\n", size-1, i)
		}
		const held = logHeld / size
		if d := time.Since(begin); d != logStall {
			t.Errorf("logging took %v, want %v", d, logStall)
		}
		if err := l.Flush(); err == nil || time.Since(begin) != logStall {
			t.Errorf("Flush returned %v, after %v", err, time.Since(begin))
		}
		close(to.release)
		synctest.Wait()
		io.WriteString(l, "later\n")
		l.Flush()
		got := strings.Split(to.String(), "\n")
		if len(got) != held+3 {
			t.Fatalf("%d lines; want %d", len(got)-1, held+2)
		}
		for i, line := range got[:held] {
			if line != fmt.Sprintf("%0*d", size-1, i) {
				t.Fatalf("line %d is %q", i, line)
			}
		}
		if want := fmt.Sprintf(`"lines":%d}`, lines-held); !strings.Contains(got[held], "log lines dropped") || !strings.HasSuffix(got[held], want) {
			t.Errorf("after what was held: %q; want %s", got[held], want)
		}
		if got[held+1] != "later" || len(to.odd) > 0 {
			t.Errorf("last line %q; odd writes: %q", got[held+1], to.odd)
		}
	})
}

// A slow reader is waited for. One that takes so little that no write takes too long, but all of
// them do, is not, though those who log wait for each other, as slog has it.
func TestLogWriterWaits(t *testing.T) {
	const lines = 1000
	for loggers, pause := range map[int]time.Duration{1: 10 * time.Millisecond, 4: logStall - 1} {
		synctest.Test(t, func(t *testing.T) {
			to := &stuck{release: make(chan struct{})}
			l := NewLogWriter(to)
			done := make(chan struct{})
			var reading sync.WaitGroup
			reading.Go(func() {
				for {
					time.Sleep(pause)
					select {
					case to.release <- struct{}{}:
					case <-done:
						close(to.release)
						return
					}
				}
			})
			var logging sync.WaitGroup
			one := make(chan struct{}, 1) // a mutex, which synctest knows
			for range loggers {
				logging.Go(func() {
					for range lines / loggers {
						began := time.Now()
						one <- struct{}{}
						io.WriteString(l, strings.Repeat("x", 2<<10)+"\n")
						<-one
						if took := time.Since(began); took > logWait {
							t.Errorf("Write took %v", took)
						}
					}
				})
			}
			logging.Wait()
			began := time.Now()
			err := l.Flush()
			if took := time.Since(began); took > logWait {
				t.Errorf("Flush took %v", took)
			}
			if (err == nil) != (loggers == 1) {
				t.Errorf("%d loggers: Flush = %v", loggers, err)
			}
			close(done)
			reading.Wait()
			l.Flush()
			if n := strings.Count(to.String(), "x\n"); (n == lines) != (loggers == 1) || (n < lines) != strings.Contains(to.String(), "dropped") {
				t.Errorf("%d loggers: %d lines", loggers, n)
			}
		})
	}
}

// Lines that cannot be written are counted, too.
func TestLogWriterFails(t *testing.T) {
	var to bytes.Buffer
	disk := &fullDisk{&to, true}
	l := NewLogWriter(disk)
	for range 3 {
		io.WriteString(l, "lost\n")
		l.Flush()
	}
	disk.full = false
	io.WriteString(l, "later\n")
	l.Flush()
	if got := to.String(); !strings.HasPrefix(got, "later\n{") || !strings.HasSuffix(got, `"lines":3}`+"\n") {
		t.Errorf("got %q", got)
	}
}

// Whatever a client sends, a line of the log has a bound.
func TestLogCutsLongValues(t *testing.T) {
	var b bytes.Buffer
	long := strings.Repeat("x", 1<<20)
	NewLog(&b).Warn("m", "uri", long, "error", errors.New(long), "stack", long, "request", 17, "short", "y")
	if got := b.String(); len(got) > 2*maxLogged+maxLoggedStack+300 || strings.Count(got, `x..."`) != 3 ||
		!strings.HasSuffix(got, `"request":17,"short":"y"}`+"\n") {
		t.Errorf("%d bytes: %.100q", len(got), got)
	}
	// One that nobody reads must not stop whoever logs.
	to := &stuck{release: make(chan struct{})}
	l := NewLogWriter(to)
	NewLog(l).Warn("m")
	close(to.release)
	testkit.Until(t, "the line", func() bool { return l.Flush() == nil })
	if !strings.HasSuffix(to.String(), `"msg":"m"}`+"\n") {
		t.Errorf("got %q", &to.Buffer)
	}
}
