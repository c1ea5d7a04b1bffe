package script

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Reaper makes this process the one that orphaned descendants of its programs fall
// to (PR_SET_CHILD_SUBREAPER), and reaps them when they end. That is for the whole
// process: all children of it must be programs of Apps that have this Reaper, since
// any other is taken for an orphan. A process that is number 1 of a container needs
// one.
type Reaper struct {
	starting sync.RWMutex // write-locked to look for orphans, when no child is unknown

	mu      sync.Mutex
	known   map[int]*process
	timer   *time.Timer // until the next look; nil if none is needed
	closed  bool
	looking sync.WaitGroup
}

// reapPause is how long an orphan may be a zombie.
const reapPause = time.Second

// NewReaper returns a Reaper. It must be closed after its Apps.
func NewReaper() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	r := &Reaper{known: make(map[int]*process)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arm()
	return r, nil
}

// hold keeps the Reaper from looking while a child is started, and added. A nil
// Reaper has nothing to hold.
func (r *Reaper) hold() (release func()) {
	if r == nil {
		return func() {}
	}
	r.starting.RLock()
	return r.starting.RUnlock
}

func (r *Reaper) add(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[p.pid] = p
	r.arm()
}

// remove forgets a process that has been reaped. Its number may have been given
// anew.
func (r *Reaper) remove(p *process) {
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
	r.timer = time.AfterFunc(reapPause, r.look)
}

// look reaps the orphans that have ended. It looks again while there are programs, or
// orphans that live, or when the orphans of others come here.
func (r *Reaper) look() {
	defer r.looking.Done()
	alive := r.reap()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	if alive > 0 || len(r.known) > 0 || os.Getpid() == 1 {
		r.arm()
	}
}

// reap reaps the orphans that have ended, and returns how many live.
func (r *Reaper) reap() (alive int) {
	r.starting.Lock()
	defer r.starting.Unlock()
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		for _, pid := range childrenOf(task) {
			r.mu.Lock()
			_, known := r.known[pid]
			r.mu.Unlock()
			if known {
				continue
			}
			// It is nobody else's, so that the number stays its own until this reaps it.
			if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && got == 0 {
				alive++
			}
		}
	}
	return alive
}

// Close ends the looking, after a last look. Orphans fall to others again.
func (r *Reaper) Close() error {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil && r.timer.Stop() {
		r.looking.Done()
	}
	r.mu.Unlock()
	r.looking.Wait()
	r.reap()
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0))
}
