package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"gatehouse/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// pattern returns n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func mustWrite(t *testing.T, s *Spool, p []byte) {
	t.Helper()
	if n, err := s.Write(p); n != len(p) || err != nil {
		t.Fatalf("Write of %d bytes = %d, %v", len(p), n, err)
	}
}

func TestStaysInMemory(t *testing.T) {
	s := New(Limits{Memory: 100_000, Dir: "/nonexistent"})
	defer s.Close()
	want := pattern(100_000)
	mustWrite(t, s, want[:1])
	mustWrite(t, s, want[1:50_000])
	mustWrite(t, s, want[50_000:])
	if s.File() != nil {
		t.Fatal("a file is used below the bound")
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v; want the %d that were written", len(got), err, len(want))
	}
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("Read of an empty spool: %v; want io.EOF", err)
	}
}

func TestGoesToFile(t *testing.T) {
	dir := t.TempDir()
	s := New(Limits{Memory: 10_000, Dir: dir})
	defer s.Close()
	want := pattern(300_000)
	mustWrite(t, s, want[:9_000])
	var first [1_000]byte
	if _, err := io.ReadFull(s, first[:]); err != nil || !bytes.Equal(first[:], want[:1_000]) {
		t.Fatalf("read from memory: %v", err)
	}
	mustWrite(t, s, want[9_000:])
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("the file has a name: %v", names)
	}
	if s.Len() != 299_000 {
		t.Errorf("Len = %d; want 299000", s.Len())
	}
	// A program reads the file from its position.
	f := s.File()
	if f == nil {
		t.Fatal("no file is used beyond the bound")
	}
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, want[1_000:]) {
		t.Fatalf("the file has %d bytes, %v; want the 299000 unread ones", len(got), err)
	}
	// That read took nothing from the queue.
	got, err = io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want[1_000:]) {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
	mustWrite(t, s, []byte("again"))
	if s.File() != nil {
		t.Error("an emptied spool does not begin in memory again")
	}
}

func TestFileStaysSmallUnderAQueueThatNeverEmpties(t *testing.T) {
	s := New(Limits{Memory: 1, Dir: t.TempDir()})
	defer s.Close()
	chunk := pattern(64 << 10)
	mustWrite(t, s, chunk)
	buf := make([]byte, len(chunk))
	for range 200 {
		mustWrite(t, s, chunk)
		if _, err := io.ReadFull(s, buf); err != nil || !bytes.Equal(buf, chunk) {
			t.Fatalf("read: %v", err)
		}
	}
	fi, err := s.File().Stat()
	if err != nil {
		t.Fatal(err)
	}
	if max := int64(compactAt + 3*len(chunk)); fi.Size() > max {
		t.Errorf("the file has %d bytes for %d unread ones; want at most %d", fi.Size(), s.Len(), max)
	}
}

func TestFull(t *testing.T) {
	s := New(Limits{Memory: 10, Max: 20, Dir: t.TempDir()})
	defer s.Close()
	mustWrite(t, s, pattern(20))
	if n, err := s.Write([]byte{1}); n != 0 || !errors.Is(err, ErrFull) {
		t.Errorf("Write beyond Max = %d, %v; want 0, ErrFull", n, err)
	}
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, pattern(20)) {
		t.Errorf("after the refusal: %x, %v", got, err)
	}
	mustWrite(t, s, pattern(20))
}

func TestBudget(t *testing.T) {
	b := NewBudget(100)
	l := Limits{Memory: 30, Total: b, Dir: t.TempDir()}
	one, two := New(l), New(l)
	mustWrite(t, one, pattern(60))
	mustWrite(t, two, pattern(30))
	if _, err := two.Write(pattern(11)); !errors.Is(err, ErrTotal) {
		t.Errorf("Write beyond the budget: %v; want ErrTotal", err)
	}
	mustWrite(t, two, pattern(10))
	if b.Used() != 100 {
		t.Errorf("Used = %d; want 100", b.Used())
	}
	one.Close()
	one.Close()
	if b.Used() != 40 {
		t.Errorf("Used after Close = %d; want 40", b.Used())
	}
	if _, err := one.Write(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v; want ErrClosed", err)
	}
	two.Close()
	if b.Used() != 0 {
		t.Errorf("Used after both = %d; want 0", b.Used())
	}
}

// TestMemoryTotal: a spool that gets no memory goes to its file, with what it had, and
// gives back what it took.
func TestMemoryTotal(t *testing.T) {
	b := NewBudget(firstPiece + nextPiece)
	l := Limits{MemoryTotal: b, Dir: t.TempDir()}
	one, two := New(l), New(l)
	mustWrite(t, one, pattern(firstPiece+1))
	if one.File() != nil || b.Used() != firstPiece+nextPiece {
		t.Errorf("file %v, %d bytes taken; want %d in memory", one.File(), b.Used(), firstPiece+nextPiece)
	}
	mustWrite(t, one, pattern(nextPiece-1)) // which fits in the pieces that it has
	mustWrite(t, two, pattern(1))
	if one.File() != nil || two.File() == nil {
		t.Errorf("files %v and %v; want only the second", one.File(), two.File())
	}
	mustWrite(t, one, pattern(1))
	if one.File() == nil || b.Used() != 0 {
		t.Errorf("file %v, %d bytes taken; want all in the file", one.File(), b.Used())
	}
	want := slices.Concat(pattern(firstPiece+1), pattern(nextPiece-1), pattern(1))
	if got, err := io.ReadAll(one); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v; want %d", len(got), err, len(want))
	}
	mustWrite(t, one, pattern(10))
	if one.File() != nil || b.Used() != firstPiece {
		t.Errorf("an emptied spool does not begin in memory again: %d bytes taken", b.Used())
	}
	one.Close()
	two.Close()
	if b.Used() != 0 {
		t.Errorf("%d bytes are taken after Close", b.Used())
	}
}

func TestNoDirectory(t *testing.T) {
	b := NewBudget(0)
	s := New(Limits{Memory: 1, Dir: t.TempDir() + "/missing", Total: b})
	defer s.Close()
	if _, err := s.Write(pattern(2)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write = %v; want that the directory does not exist", err)
	}
	if b.Used() != 0 {
		t.Errorf("a failed write keeps %d bytes of budget", b.Used())
	}
	mustWrite(t, s, pattern(1))
}

func TestNegativeIsNoLimit(t *testing.T) {
	s := New(Limits{Memory: -1, Max: -1, Dir: "/nonexistent"})
	defer s.Close()
	mustWrite(t, s, pattern(3<<20))
	if s.File() != nil || s.Len() != 3<<20 {
		t.Errorf("Len %d, file %v; want 3 MiB in memory", s.Len(), s.File())
	}
}

// TestQueueIsABuffer runs random writes and reads against bytes.Buffer.
func TestQueueIsABuffer(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		budget, memory := NewBudget(1<<40), NewBudget(rapid.Int64Range(1, 120_000).Draw(t, "memory total"))
		const max = 200_000
		s := New(Limits{Memory: rapid.Int64Range(1, 80_000).Draw(t, "memory"), Max: max, Dir: dir, Total: budget, MemoryTotal: memory})
		defer func() {
			s.Close()
			if budget.Used()+memory.Used() != 0 {
				t.Fatalf("%d bytes of budget are left after Close", budget.Used()+memory.Used())
			}
		}()
		var model bytes.Buffer
		source, at := pattern(1<<20), 0
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				n := rapid.IntRange(0, 70_000).Draw(t, "n")
				p := source[at : at+n]
				at = (at + n) % 900_000
				k, err := s.Write(p)
				if full := model.Len()+n > max; full != errors.Is(err, ErrFull) || !full && (err != nil || k != n) {
					t.Fatalf("Write of %d bytes to %d = %d, %v", n, model.Len(), k, err)
				} else if !full {
					model.Write(p)
				}
			},
			"read": func(t *rapid.T) {
				p := make([]byte, rapid.IntRange(1, 90_000).Draw(t, "n"))
				n, err := s.Read(p)
				if n == 0 && err == io.EOF && model.Len() == 0 {
					return
				}
				if err != nil || n == 0 {
					t.Fatalf("Read = %d, %v with %d unread", n, err, model.Len())
				}
				if want := model.Next(n); !bytes.Equal(p[:n], want) {
					t.Fatal("Read gives other bytes than were written")
				}
			},
			"file": func(t *rapid.T) {
				f := s.File()
				if f == nil {
					return
				}
				if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, model.Bytes()) {
					t.Fatalf("the file has %d unread bytes, %v; want %d", len(got), err, model.Len())
				}
			},
			"": func(t *rapid.T) {
				if s.Len() != int64(model.Len()) {
					t.Fatalf("Len = %d; want %d", s.Len(), model.Len())
				}
				if s.mem.size > memory.Used() {
					t.Fatalf("%d bytes of memory taken for %d kept", memory.Used(), s.mem.size)
				}
				if budget.Used() < s.Len() {
					t.Fatalf("%d bytes of budget for %d kept", budget.Used(), s.Len())
				}
			},
		})
	})
}

// TestFilesAreBounded: a spool that may have no file fails with EMFILE, and may have one once
// another is closed.
func TestFilesAreBounded(t *testing.T) {
	b := NewBudget(0)
	b.LimitFiles(1)
	l := Limits{Memory: 1, Dir: t.TempDir(), Total: b}
	first, second := New(l), New(l)
	defer second.Close()
	if _, err := first.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := second.Write([]byte("hello")); !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("the second file: %v", err)
		}
	}
	first.Close()
	if _, err := second.Write([]byte("hello")); err != nil || b.Used() != 5 {
		t.Errorf("after the first was closed: %v, %d bytes", err, b.Used())
	}
}
