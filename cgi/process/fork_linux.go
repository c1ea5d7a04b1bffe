package process

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

// A spawn is one start.
type spawn struct {
	path    string // what is executed, in the chroot, or in the pinned directory
	argv    []string
	attr    *syscall.ProcAttr
	dir     int      // pinned: becomes the current directory in place of attr.Dir, unless it is negative
	cgroup  *cgroup  // of attr, until a process has it; nil for none
	cgroups *cgroups // that it is from
	probe   bool     // the program must not run: it is killed at its execve

	pid  int
	err  error
	done chan struct{}
}

// close closes the pinned directory, and releases the control group if no process has it.
func (s *spawn) close() {
	if s.dir >= 0 {
		unix.Close(s.dir)
		s.dir = -1
	}
	if s.cgroup != nil {
		s.cgroups.release(s.cgroup)
		s.cgroup = nil
	}
}

// fork starts a program from this thread.
func (l *Launcher) fork(s *spawn) (pid int, err error) {
	if l.limits == nil {
		return syscall.ForkExec(s.path, s.argv, s.attr)
	}
	l.tracing <- struct{}{}
	defer func() { <-l.tracing }()
	runtime.LockOSThread() // which traces the child
	defer runtime.UnlockOSThread()
	s.attr.Sys.Ptrace = true
	// This thread waits in the kernel until the child has executed the program, and a
	// signal in the short time between its PTRACE_TRACEME and that would stop the child
	// for ever.
	w := watchThread(unix.Gettid())
	pid, err = syscall.ForkExec(s.path, s.argv, s.attr)
	w.stop()
	if err != nil {
		return 0, err
	}
	return pid, l.limits.apply(pid, s.probe)
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
	w.timer = time.AfterFunc(spawnPatience, w.killStopped)
	return w
}

func (w *watchdog) killStopped() {
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

// nobody is a user that has nothing, and no rights.
const nobody = 65534

// probe finds out whether programs can be stopped at their execve and given limits:
// this very program is, and never runs.
func (l *Launcher) probe() error {
	if l.limits == nil {
		return nil
	}
	user := l.user
	if l.owners != nil {
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
	defer l.reaper.startFailed(l.reaper.startBegins())
	// By its descriptor, since the user may not be able to reach it by its path.
	path := "/proc/self/fd/" + strconv.Itoa(int(self.Fd()))
	// Not by a thread of the spawner, which may have no right to execute it.
	_, err = l.fork(&spawn{path: path, argv: []string{path}, dir: -1, probe: true,
		attr: &syscall.ProcAttr{Files: []uintptr{fd, fd, fd}, Sys: &syscall.SysProcAttr{Setpgid: true, Credential: user}}})
	if le := (*limitError)(nil); errors.As(err, &le) && user != nil {
		return fmt.Errorf("%w: for programs of another user root needs %s: give it to gatehouse (docker run --cap-add), or remove %s",
			err, le.capability, le.key)
	}
	if err != nil {
		return fmt.Errorf("%s: the limits of a program are set while it is stopped by ptrace(2), which this system refuses: %w: "+
			"let it trace its children (SystemCallFilter= of the systemd unit needs ptrace, kernel.yama.ptrace_scope at most 1, "+
			"and nothing else may trace gatehouse), or remove them", strings.Join(l.limits.keys, ", "), err)
	}
	return nil
}
