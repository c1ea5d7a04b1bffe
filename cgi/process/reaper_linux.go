package process

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Reaper makes this process the one that orphaned descendants of its programs fall
// to (PR_SET_CHILD_SUBREAPER), and reaps them when they end. That is for the whole
// process: all children of it must be programs of Launchers that have this Reaper, or
// started by Spare, since any other is taken for an orphan. A process that is number 1 of a container needs
// one.
//
// Programs of such Launchers get KILL if this process ends before them, even if it was
// killed itself (PR_SET_PDEATHSIG). The kernel sends that when the thread ends that
// started the program. So no goroutine may return with its thread locked
// (runtime.LockOSThread) while programs run, but those of Launchers. Descendants of a
// program do not get it, nor does a program that executes a set-user-ID one.
type Reaper struct {
	mu      sync.Mutex
	known   map[int]*Process
	starts  map[uint64]struct{} // under way: each has a child that may be unknown yet
	next    uint64              // the number of the next start
	unknown map[int]uint64      // children that were unknown at the last look, and the next start then
	timer   *time.Timer         // until the next look; nil if none is needed
	closed  bool
	looking sync.WaitGroup
}

// reapPause is the time between looks. An orphan is reaped at the second look that finds
// it ended.
const reapPause = time.Second

// NewReaper returns a Reaper. It must be closed after its Launchers.
func NewReaper() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	r := &Reaper{known: make(map[int]*Process), starts: make(map[uint64]struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arm()
	return r, nil
}

// startBegins says that a child will be started. startDone or startFailed must follow. A
// nil Reaper does nothing with any of it.
func (r *Reaper) startBegins() (start uint64) {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	start = r.next
	r.next++
	r.starts[start] = struct{}{}
	return start
}

// startDone says that the child is p.
func (r *Reaper) startDone(start uint64, p *Process) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.starts, start)
	r.known[p.pid] = p
	r.arm()
}

// startFailed says that there is no child.
func (r *Reaper) startFailed(start uint64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.starts, start)
	r.arm()
}

// Spare starts a process that is no program, and that the caller waits for. It must call
// forget once it has done so. A nil Reaper only calls start.
func (r *Reaper) Spare(start func() (pid int, err error)) (forget func(), err error) {
	begun := r.startBegins()
	pid, err := start()
	if err != nil {
		r.startFailed(begun)
		return nil, err
	}
	p := &Process{platform: platform{reaper: r}}
	p.pid = pid
	r.startDone(begun, p)
	return func() { r.remove(p) }, nil
}

// remove forgets a process that has been reaped. Its number may have been given
// anew.
func (r *Reaper) remove(p *Process) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[p.pid] == p {
		delete(r.known, p.pid)
	}
	r.arm()
}

// arm sees to it that there will be a look.
func (r *Reaper) arm() {
	if r.timer != nil || r.closed {
		return
	}
	r.looking.Add(1)
	r.timer = time.AfterFunc(reapPause, r.reapAndArm)
}

// reapAndArm reaps the orphans that have ended. It looks again while there are programs, or
// orphans that live, or when the orphans of others come here.
func (r *Reaper) reapAndArm() {
	defer r.looking.Done()
	left := r.reap()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if left > 0 || len(r.known) > 0 || os.Getpid() == 1 {
		r.arm()
	}
}

// reap reaps the orphans that have ended, and returns how many children may be orphans
// that it has not reaped. A child is one if nobody knows it, and all the starts have ended
// that it could be of.
func (r *Reaper) reap() (left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.next
	for start := range r.starts {
		oldest = min(oldest, start)
	}
	unknown := make(map[int]uint64)
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		for _, pid := range childrenOf(task) {
			if r.known[pid] != nil {
				continue
			}
			since, again := r.unknown[pid]
			if !again {
				since = r.next
			}
			if again && since <= oldest {
				if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil || got != 0 {
					continue
				}
			}
			unknown[pid] = since
			left++
		}
	}
	r.unknown = unknown
	return left
}

// Close ends the looking, after a last one. Orphans fall to others again.
func (r *Reaper) Close() error {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil && r.timer.Stop() {
		r.looking.Done()
	}
	r.mu.Unlock()
	r.looking.Wait()
	r.reap()
	r.reap() // what the first of them found
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0))
}
