// Package spool keeps bytes that one side has sent and the other has not taken
// yet: in memory up to a bound, then in an unlinked temporary file, so that
// nothing is left behind however the process ends.
package spool

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"syscall"
)

// The defaults of Limits.
const (
	DefaultMemory = 1 << 20
	DefaultMax    = 1 << 30
)

// Errors of Write. Nothing of what was to be written has been kept.
var (
	// ErrFull: the spool would hold more than Limits.Max (413 to a client).
	ErrFull = errors.New("spool is full")
	// ErrTotal: all spools together would hold more than the Budget (503).
	ErrTotal = errors.New("spools are full together")
	// ErrClosed: the spool has been closed.
	ErrClosed = errors.New("spool is closed")
)

// Limits bound a Spool. A zero field means its default, a negative number no limit.
type Limits struct {
	Memory int64   // bytes kept in memory before a file is used: 1 MiB
	Max    int64   // unread bytes in all: 1 GiB
	Dir    string  // of the file: the system's directory for temporary files
	Total  *Budget // shared by many spools; nil: none

	// MemoryTotal bounds the memory of many spools; nil: not at all. A spool that gets
	// none of it uses its file sooner.
	MemoryTotal *Budget
}

// WithDefaults returns l with each zero field set to its default, and each
// negative one to a value that is never reached.
func (l Limits) WithDefaults() Limits {
	bound(&l.Memory, DefaultMemory)
	bound(&l.Max, DefaultMax)
	if l.Dir == "" {
		l.Dir = os.TempDir()
	}
	return l
}

// WithTotals returns l with budgets of its own where it has none: 8 GiB in all, and 256 MiB
// of memory.
func (l Limits) WithTotals() Limits {
	if l.Total == nil {
		l.Total = NewBudget(0)
	}
	if l.MemoryTotal == nil {
		l.MemoryTotal = NewBudget(DefaultMemoryTotal)
	}
	return l
}

func bound(n *int64, standard int64) {
	switch {
	case *n == 0:
		*n = standard
	case *n < 0:
		*n = math.MaxInt64
	}
}

// A Spool is a queue of bytes: Read takes from the front what Write put at the
// end. It is not safe for concurrent use.
type Spool struct {
	limits Limits
	mem    memory
	file   *os.File
	// start and end bound the unread bytes of the file. While the file holds any,
	// memory holds none, and new bytes go to the file.
	start, end int64
	charged    int64 // bytes taken from the budget
	closed     bool
}

// New returns an empty Spool. It takes memory, a file and budget only as bytes
// come, and gives them back at Close at the latest.
func New(l Limits) *Spool {
	return &Spool{limits: l.WithDefaults(), mem: memory{budget: l.MemoryTotal}}
}

// Len returns the number of unread bytes.
func (s *Spool) Len() int64 { return s.mem.size + s.end - s.start }

// Write appends p, all of it or nothing. Its error is one of this package, or one
// of the file.
func (s *Spool) Write(p []byte) (int, error) {
	n := int64(len(p))
	switch {
	case s.closed:
		return 0, ErrClosed
	case n == 0:
		return 0, nil
	case n > s.limits.Max-s.Len():
		return 0, fmt.Errorf("%w: it may hold %d bytes", ErrFull, s.limits.Max)
	}
	if err := s.charge(n); err != nil {
		return 0, err
	}
	if s.end == 0 && n <= s.limits.Memory-s.mem.size && s.mem.reserve(len(p)) {
		s.mem.write(p)
		return len(p), nil
	}
	if err := s.append(p); err != nil {
		s.release(n)
		return 0, err
	}
	return len(p), nil
}

// append writes p to the file, after what memory holds.
func (s *Spool) append(p []byte) error {
	if s.file == nil {
		if !s.limits.Total.ReserveFiles(1) {
			return fmt.Errorf("spool in %s: there are as many files of spools as may be: %w", s.limits.Dir, syscall.EMFILE)
		}
		f, err := create(s.limits.Dir)
		if err != nil {
			s.limits.Total.ReleaseFiles(1)
			return fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
		}
		s.file = f
	}
	if s.mem.size > 0 {
		end, err := s.mem.writeTo(s.file)
		if err != nil {
			return fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
		}
		s.mem.reset()
		s.end = end
	}
	if _, err := s.file.WriteAt(p, s.end); err != nil {
		return fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
	}
	s.end += int64(len(p))
	return nil
}

// Read takes bytes from the front. An empty spool is io.EOF; more may be written
// afterwards.
func (s *Spool) Read(p []byte) (int, error) {
	if s.closed {
		return 0, ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	if s.mem.size > 0 {
		n := s.mem.read(p)
		s.release(int64(n))
		return n, nil
	}
	if s.start == s.end {
		return 0, io.EOF
	}
	if unread := s.end - s.start; int64(len(p)) > unread {
		p = p[:unread]
	}
	n, err := s.file.ReadAt(p, s.start)
	s.start += int64(n)
	if n < len(p) {
		return n, fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
	}
	return n, s.compact()
}

// compactAt is how many read bytes the front of the file may hold before the rest
// is moved over them.
const compactAt = 1 << 20

// compact keeps the file from growing under a queue that never runs empty. It
// moves no more than has been read since the last time, so that its cost per byte
// is constant.
func (s *Spool) compact() error {
	unread := s.end - s.start
	if unread > 0 && (s.start < compactAt || s.start < unread) {
		return nil
	}
	if unread > 0 {
		if _, err := io.Copy(io.NewOffsetWriter(s.file, 0), io.NewSectionReader(s.file, s.start, unread)); err != nil {
			return fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
		}
	}
	if err := s.file.Truncate(unread); err != nil {
		return fmt.Errorf("spool in %s: %w", s.limits.Dir, err)
	}
	s.start, s.end = 0, unread
	s.release(s.charged - unread)
	return nil
}

// File returns the file, positioned at the first unread byte, or nil while the
// bytes are in memory. The file belongs to the Spool; a program that gets it as
// its standard input reads the unread bytes and then meets the end of file.
func (s *Spool) File() *os.File {
	if s.end == 0 || s.closed {
		return nil
	}
	if _, err := s.file.Seek(s.start, io.SeekStart); err != nil {
		return nil // Read does not depend on the position
	}
	return s.file
}

// Close gives back memory, budget and file. A Spool can be closed more than once.
func (s *Spool) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.mem.reset()
	s.start, s.end = 0, 0
	s.release(s.charged)
	if s.file == nil {
		return nil
	}
	s.limits.Total.ReleaseFiles(1)
	return s.file.Close()
}

// charge takes n bytes from the budget.
func (s *Spool) charge(n int64) error {
	if !s.limits.Total.Reserve(n) {
		return fmt.Errorf("%w: they may hold %d bytes", ErrTotal, s.limits.Total.Max())
	}
	s.charged += n
	return nil
}

func (s *Spool) release(n int64) {
	s.charged -= n
	s.limits.Total.Release(n)
}
