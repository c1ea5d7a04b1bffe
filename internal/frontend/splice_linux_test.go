package frontend

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSpliceToWhileThePipeEmpties: a pipe that is emptied just after it was full does not
// make SpliceTo wait for bytes that stand in the socket already.
func TestSpliceToWhileThePipeEmpties(t *testing.T) {
	const block, rounds = 64 << 10, 2000
	s, peer := pair(t, "unix")
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		b := make([]byte, 4096)
		for {
			if n, err := unix.Read(fds[0], b); n <= 0 && err != unix.EINTR {
				return
			}
		}
	}()
	late := time.AfterFunc(time.Minute, s.Kick) // ends a test that fails
	defer late.Stop()
	p := make([]byte, block)
	for range rounds {
		if _, err := peer.Write(p); err != nil {
			t.Fatal(err)
		}
		for left := block; left > 0; {
			n, err := s.SpliceTo(fds[1], left)
			left -= n
			if err != nil && !errors.Is(err, ErrPipeFull) {
				t.Fatalf("with %d bytes left of a block: %v", left, err)
			}
		}
	}
	unix.Close(fds[1])
	<-drained
	unix.Close(fds[0])
}
