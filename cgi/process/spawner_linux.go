package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A spawner has threads that start programs, with what the programs are to inherit. The
// zero value has none, and starts them from any thread.
type spawner struct {
	jobs    chan *spawn
	threads sync.WaitGroup
}

// do starts a program, on a thread of the spawner if it has any.
func (t *spawner) do(s *spawn, fork func(*spawn) (pid int, err error)) (pid int, err error) {
	if t.jobs == nil {
		if s.dir >= 0 {
			s.attr.Dir = "/proc/self/fd/" + strconv.Itoa(s.dir)
		}
		return fork(s)
	}
	s.done = make(chan struct{})
	t.jobs <- s
	<-s.done
	return s.pid, s.err
}

// startThreads starts the spawner's threads if anything needs them.
func (l *Launcher) startThreads() error {
	c := &l.rules.Confinement
	landlocked := len(c.Read)+len(c.Write) > 0
	// A directory that is held is reached by /proc, but not from a chroot.
	if c.Umask == 0 && !c.NoNewPrivs && !landlocked && (!l.checked || l.chroot == "") {
		return nil
	}
	rules := -1
	if landlocked {
		var err error
		if rules, err = newRuleset(&l.rules); err != nil {
			return err
		}
		defer unix.Close(rules)
	}
	set := func() error {
		// The current directory and the umask of this thread alone.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if c.Umask != 0 {
			unix.Umask(max(c.Umask, 0))
		}
		if c.NoNewPrivs || landlocked {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return fmt.Errorf("no_new_privs: %w", err)
			}
		}
		if landlocked {
			return restrictSelf(rules)
		}
		return nil
	}
	return l.spawner.start(set, l.fork)
}

// start starts the threads, each of which calls set once and then fork for each job.
func (t *spawner) start(set func() error, fork func(*spawn) (pid int, err error)) error {
	t.jobs = make(chan *spawn)
	ready := make(chan error)
	n := runtime.NumCPU()
	serve := func() {
		defer t.threads.Done()
		err := set()
		ready <- err
		if err != nil {
			return
		}
		for s := range t.jobs {
			s.pid, s.err = s.onThread(fork)
			close(s.done)
		}
	}
	for range n {
		t.threads.Add(1)
		go onOtherThread(serve)
	}
	var err error
	for range n {
		err = errors.Join(err, <-ready)
	}
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n") // the threads say the same
		return errors.New(line)
	}
	return nil
}

// close ends the threads.
func (t *spawner) close() {
	if t.jobs != nil {
		close(t.jobs)
		t.threads.Wait()
	}
}

// onThread starts the program from a thread that has a current directory of its own.
func (s *spawn) onThread(fork func(*spawn) (pid int, err error)) (pid int, err error) {
	if s.dir >= 0 {
		if err := unix.Fchdir(s.dir); err != nil {
			return 0, err
		}
		defer unix.Chdir("/") // holds no file system
		s.attr.Dir = ""
	}
	return fork(s)
}

// onOtherThread runs f on a thread of its own that ends with f. It is not the main
// thread, which cannot end, and whose attributes pass for those of the process. Nor has it
// started a program that runs: that would end with it (see [Reaper]).
func onOtherThread(f func()) {
	runtime.LockOSThread()
	if tid := unix.Gettid(); tid != unix.Getpid() && len(childrenOf("/proc/self/task/"+strconv.Itoa(tid))) == 0 {
		f()
		return
	}
	found := make(chan struct{})
	go onOtherThread(func() {
		close(found)
		f()
	})
	<-found
	runtime.UnlockOSThread()
}
