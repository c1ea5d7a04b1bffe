package script

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A spawner starts programs from threads of its own, which have what the programs
// are to inherit. The threads end with it.
type spawner struct {
	jobs    chan *spawn
	threads sync.WaitGroup
	set     func() error // on each thread, at its beginning
	fork    func(*spawn) (pid int, err error)
}

// A spawn is one start.
type spawn struct {
	path  string
	argv  []string
	attr  *syscall.ProcAttr
	dir   int  // becomes the current directory in place of attr.Dir, unless it is negative
	probe bool // the program must not run: it is ended at its execve

	pid  int
	err  error
	done chan struct{}
}

// start starts a program, on a thread of the spawner if there is one.
func (c *confinement) start(j *spawn) (pid int, err error) {
	if c.spawner != nil {
		return c.spawner.start(j)
	}
	if j.dir >= 0 {
		j.attr.Dir = "/proc/self/fd/" + strconv.Itoa(j.dir)
	}
	return c.fork(j)
}

// fork starts a program from this thread.
func (c *confinement) fork(j *spawn) (pid int, err error) {
	if c.limits == nil {
		return syscall.ForkExec(j.path, j.argv, j.attr)
	}
	runtime.LockOSThread() // which traces the child
	defer runtime.UnlockOSThread()
	j.attr.Sys.Ptrace = true
	// This thread waits in the kernel until the child has executed the program, and a
	// signal in the short time between its PTRACE_TRACEME and that would stop the child
	// for ever.
	w := watchThread(unix.Gettid())
	pid, err = syscall.ForkExec(j.path, j.argv, j.attr)
	w.stop()
	if err != nil {
		return 0, err
	}
	return pid, c.limits.apply(pid, j.probe)
}

// spawnPatience is how long a start takes before it is looked at.
const spawnPatience = 5 * time.Second

// A watchdog kills what stops a thread.
type watchdog struct {
	tid   int
	mu    sync.Mutex
	timer *time.Timer
	done  bool
}

func watchThread(tid int) *watchdog {
	w := &watchdog{tid: tid}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(spawnPatience, w.look)
	return w
}

func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		killStopped(w.tid)
		w.timer.Reset(spawnPatience)
	}
}

// stop returns when it kills no more.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	w.timer.Stop()
}

// killStopped kills the children of a thread that are stopped by its tracing.
func killStopped(tid int) {
	for _, pid := range childrenOf("/proc/self/task/" + strconv.Itoa(tid)) {
		if st, err := readStat(pid); err == nil && st.state == 't' {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// newSpawner starts the threads, nil if nothing needs them.
func (c *confinement) newSpawner() (*spawner, error) {
	o := &c.app.Confinement
	landlocked := len(o.Read)+len(o.Write) > 0
	// A directory that is held is reached by /proc, but not from a chroot.
	if o.Umask == 0 && !o.NoNewPrivs && !landlocked && (!c.checked || c.chroot == "") {
		return nil, nil
	}
	var err error
	rules := -1
	if landlocked {
		if rules, err = newRuleset(c.app); err != nil {
			return nil, err
		}
		defer unix.Close(rules)
	}
	s := &spawner{jobs: make(chan *spawn), fork: c.fork}
	s.set = func() error {
		// The current directory and the umask of this thread alone.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		if o.Umask != 0 {
			unix.Umask(max(o.Umask, 0))
		}
		if o.NoNewPrivs || landlocked {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				return fmt.Errorf("no_new_privs: %w", err)
			}
		}
		if landlocked {
			return restrictSelf(rules)
		}
		return nil
	}
	ready := make(chan error)
	n := runtime.NumCPU()
	for range n {
		s.threads.Add(1)
		go s.thread(ready)
	}
	for range n {
		err = errors.Join(err, <-ready)
	}
	if err != nil {
		s.close()
		line, _, _ := strings.Cut(err.Error(), "\n") // the threads say the same
		return nil, errors.New(line)
	}
	return s, nil
}

// thread is a thread. It is not the main thread, which cannot end, and whose
// attributes pass for those of the process.
func (s *spawner) thread(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		locked := make(chan error)
		go func() {
			runtime.LockOSThread()
			locked <- nil
			s.serve(ready)
		}()
		<-locked
		runtime.UnlockOSThread()
		return
	}
	s.serve(ready)
}

// serve starts programs. The thread stays locked, so that it ends with the
// goroutine.
func (s *spawner) serve(ready chan<- error) {
	defer s.threads.Done()
	err := s.set()
	ready <- err
	if err != nil {
		return
	}
	for j := range s.jobs {
		j.pid, j.err = s.run(j)
		close(j.done)
	}
}

// start starts a program.
func (s *spawner) start(j *spawn) (pid int, err error) {
	j.done = make(chan struct{})
	s.jobs <- j
	<-j.done
	return j.pid, j.err
}

func (s *spawner) run(j *spawn) (pid int, err error) {
	if j.dir >= 0 {
		if err := unix.Fchdir(j.dir); err != nil {
			return 0, err
		}
		defer unix.Chdir("/") // holds no file system
		j.attr.Dir = ""
	}
	return s.fork(j)
}

// nobody is a user that has nothing, and no rights.
const nobody = 65534

// probe finds out whether programs can be stopped at their execve and given limits:
// this very program is, and never runs.
func (c *confinement) probe() error {
	if c.limits == nil {
		return nil
	}
	user := c.user
	if c.owners != nil {
		user = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	fd := null.Fd()
	if r := c.app.Reaper; r != nil {
		defer r.end(r.begin(), nil)
	}
	// By its descriptor, since the user may not be able to reach it by its path.
	path := "/proc/self/fd/" + strconv.Itoa(int(self.Fd()))
	// Not by a thread of the spawner, which may have no right to execute it.
	_, err = c.fork(&spawn{path: path, argv: []string{path}, dir: -1, probe: true,
		attr: &syscall.ProcAttr{Files: []uintptr{fd, fd, fd}, Sys: &syscall.SysProcAttr{Setpgid: true, Credential: user}}})
	if le := (*limitError)(nil); errors.As(err, &le) && user != nil {
		return fmt.Errorf("%w: for programs of another user root needs %s: give it to gatehouse (docker run --cap-add), or remove %s",
			err, le.capability, le.key)
	}
	if err != nil {
		return fmt.Errorf("%s: the limits of a program are set while it is stopped by ptrace(2), which this system refuses: %w: "+
			"let it trace its children (SystemCallFilter= of the systemd unit needs ptrace, kernel.yama.ptrace_scope at most 1, "+
			"and nothing else may trace gatehouse), or remove them", strings.Join(c.limits.keys, ", "), err)
	}
	return nil
}

func (s *spawner) close() {
	close(s.jobs)
	s.threads.Wait()
}
