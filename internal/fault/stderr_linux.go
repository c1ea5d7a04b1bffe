package fault

import (
	"io"
	"os"
	"sync"
)

// A Stderr is what a command writes to as its stderr, and nobody needs to read: while it is
// blocked, writing blocks as soon as the pipe is full.
type Stderr struct {
	// W is the end of the command, for exec.Cmd. The caller closes it when the command has
	// been started.
	W *os.File

	r    *os.File
	gate sync.Mutex // held while it is blocked
	done chan struct{}
	err  error
}

// NewStderr returns one whose text is copied to dst while it is not blocked.
func NewStderr(dst io.Writer) (*Stderr, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &Stderr{W: w, r: r, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer r.Close()
		buf := make([]byte, 4<<10)
		for {
			n, err := r.Read(buf)
			s.gate.Lock()
			if n > 0 && s.err == nil {
				_, s.err = dst.Write(buf[:n])
			}
			s.gate.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s, nil
}

// Block lets nobody read until Unblock. It waits for nothing.
func (s *Stderr) Block()   { s.gate.Lock() }
func (s *Stderr) Unblock() { s.gate.Unlock() }

// Wait waits until every process has closed its end, and all has been copied. It returns the
// error of writing.
func (s *Stderr) Wait() error {
	<-s.done
	return s.err
}
