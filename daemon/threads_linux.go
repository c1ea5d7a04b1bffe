package daemon

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"syscall"
)

// spareThreads are those beyond what the processors take. Go's runtime ends the process if
// it needs another thread while the system has no room for one (RLIMIT_NPROC, TasksMax,
// pids.max), which a program that forks without end sees to. It never ends those that it
// has.
//
// A thread is in use while it runs Go code, of which there is one for each processor, or
// waits in the kernel. There wait one for signals, one for the network, those that write
// the two logs, and, of each application that confines or limits its programs, as many as
// start one at a time, at most one for each processor. All other waiting is for disks: for
// programs and files that are looked up, and for spools. Sockets, pipes and the end of
// programs take none.
const spareThreads = 32

// reserveThreads has the runtime make the threads that it may need, and park them. If the
// system has no room for them, half of what there is room for is left to programs, which is
// logged.
func reserveThreads(log *slog.Logger) {
	want := 2*runtime.GOMAXPROCS(0) + spareThreads
	var threads, held sync.WaitGroup
	release := make(chan struct{}) // closed in the end; a thread that receives ends
	n := 0
	for ; n < want && hasRoom(); n++ {
		held.Add(1)
		threads.Go(func() {
			runtime.LockOSThread()
			held.Done()
			if _, end := <-release; !end {
				runtime.UnlockOSThread()
			}
		})
		held.Wait()
	}
	if n < want {
		for range n - n/2 {
			release <- struct{}{}
		}
		log.Warn(fmt.Sprintf("there is room for only %d more processes and threads, of which gatehouse keeps %d: "+
			"raise RLIMIT_NPROC (LimitNPROC=), TasksMax= or pids.max by at least %d", n, n/2, want-n/2))
	}
	close(release)
	threads.Wait()
}

// hasRoom reports whether there is room for another process, or thread: it starts one that
// has nothing to execute.
func hasRoom() bool {
	_, err := syscall.ForkExec("", nil, &syscall.ProcAttr{})
	return err != syscall.EAGAIN
}
