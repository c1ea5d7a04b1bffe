//go:build !linux

package process

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// An Output is our end of a pipe that a program writes to. One goroutine reads and
// closes it; any may interrupt that one.
type Output struct {
	file        *os.File
	interrupted atomic.Bool
	exited      atomic.Bool // the program has been reaped
}

// Open does nothing.
func (o *Output) Open() {}

// lastWait is how long what a program has left behind may take to come, where nobody
// tells how much there is.
const lastWait = 10 * time.Millisecond

// Read reads what is there, or waits for it. It returns io.EOF at the end,
// os.ErrDeadlineExceeded when the deadline has passed, and ErrInterrupted. When
// the program has ended it returns what is left, then io.EOF, also where a child of the
// program holds the pipe open.
func (o *Output) Read(p []byte) (int, error) {
	n, err := o.file.Read(p)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	if o.interrupted.Load() {
		return 0, ErrInterrupted
	}
	if !o.exited.Load() {
		return 0, err
	}
	if o.file.SetReadDeadline(time.Now().Add(lastWait)) != nil {
		return 0, io.EOF
	}
	if n, err = o.file.Read(p); errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// SetReadDeadline bounds the next reads; the zero time is no bound.
func (o *Output) SetReadDeadline(t time.Time) error {
	err := o.file.SetReadDeadline(t)
	if o.interrupted.Load() || o.exited.Load() {
		o.wake()
	}
	return err
}

// Interrupt makes the read that is under way, and later ones, return ErrInterrupted.
func (o *Output) Interrupt() {
	o.interrupted.Store(true)
	o.wake()
}

func (o *Output) writerExited() {
	o.exited.Store(true)
	o.wake()
}

func (o *Output) wake() { o.file.SetReadDeadline(time.Unix(1, 0)) }

// Close closes the pipe.
func (o *Output) Close() error { return o.file.Close() }

// EnlargePipe does nothing.
func EnlargePipe(int) {}
