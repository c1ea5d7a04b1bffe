package process

import (
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// holdTraced starts a traced child and leaves it where its execve stops it, until it
// has been killed.
func holdTraced(tid, stopped chan<- int) {
	runtime.LockOSThread()
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	tid <- unix.Gettid()
	if err != nil {
		stopped <- 0
		return
	}
	var ws syscall.WaitStatus
	wait4(pid, &ws)
	stopped <- pid
	for wait4(pid, &ws) == nil && ws.Stopped() {
	}
	stopped <- int(ws.Signal())
}

// TestStoppedStart: a child that is stopped before its execve does not stop its thread
// for ever.
func TestStoppedStart(t *testing.T) {
	tid := make(chan int)
	stopped := make(chan int)
	go holdTraced(tid, stopped)
	id, pid := <-tid, <-stopped
	if pid == 0 {
		t.Fatal("no child")
	}
	killStopped(id)
	if code := <-stopped; code != 9 {
		t.Errorf("the child ended by signal %d; want KILL", code)
	}
}
