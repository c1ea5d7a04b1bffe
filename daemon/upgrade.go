package daemon

import (
	"os"
	"strconv"
	"strings"

	"gatehouse/systemd"
)

// upgrade starts the process that is to replace this one. It returns nil if that fails.
func (d *Daemon) upgrade() *successor {
	next, err := d.startSuccessor(d.current().sockets())
	if err != nil {
		d.stay(err)
		return nil
	}
	d.log.Info("upgrading: the new gatehouse has been started", "path", d.args[0], "process", next.process.Pid)
	return next
}

// stay logs why this process has not been replaced.
func (d *Daemon) stay(err error) {
	d.log.Error("upgrade failed: this process serves on", "error", err)
}

// replaced reports whether the successor serves, and leaves the service to it. err is why
// it does not.
func (d *Daemon) replaced(next *successor, err error) bool {
	defer next.close()
	if err != nil {
		d.stay(err)
		return false
	}
	d.mu.Lock()
	next.handOver(d.pidFile)
	d.pidFile = ""
	d.mu.Unlock()
	d.ready.Store(false)
	d.admin.Serve(nil) // who asks is answered by the successor
	pid := next.process.Pid
	if err := d.notifier.HandOver(pid); err != nil {
		d.log.Warn("systemd was not told of the new process", "error", err)
	}
	d.log.Info("draining: the new gatehouse serves", "process", pid)
	return true
}

// takeOver makes what the predecessor has left this process's own.
func (d *Daemon) takeOver() {
	d.env.Predecessor.takeOver()
	if err := d.writePIDFile(); err != nil {
		d.log.Error(err.Error())
	}
	d.log.Info("this process has taken over")
}

// listenNames returns the names of the descriptors that systemd passed, as LISTEN_FDNAMES
// has them.
func listenNames(p systemd.Process) []string {
	lookup, pid := p.LookupEnv, p.PID
	if lookup == nil {
		lookup = os.LookupEnv
	}
	if pid == 0 {
		pid = os.Getpid()
	}
	if of, _ := lookup("LISTEN_PID"); of != strconv.Itoa(pid) {
		return nil
	}
	count, _ := lookup("LISTEN_FDS")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1<<16 {
		return nil
	}
	names := strings.Split(strings.Repeat("unknown:", n-1)+"unknown", ":")
	if list, ok := lookup("LISTEN_FDNAMES"); ok {
		names = strings.Split(list, ":")
	}
	return names
}
