//go:build unix

package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The signals that reopen the log, and that replace this process by another.
const (
	signalReopen  = syscall.SIGUSR1
	signalUpgrade = syscall.SIGUSR2
)

func upgradeSignals() []os.Signal { return []os.Signal{signalReopen, signalUpgrade} }

const (
	successorTime  = time.Minute // that a successor may take to serve
	successorGrace = time.Second // that one that has failed may take to end after SIGTERM
)

// CommandLine returns args, those of this process, with the absolute path of its binary in
// front: where it was found when it was started, and not what lies there by now. It must be
// called before the current directory changes. It returns nil if the path is unknown.
func CommandLine(args []string) []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	path := self
	// Not with its symbolic links resolved: one of them may lead to the next version.
	if found, err := exec.LookPath(args[0]); err == nil {
		a, aerr := os.Stat(found)
		b, berr := os.Stat(self)
		if abs, err := filepath.Abs(found); err == nil && aerr == nil && berr == nil && os.SameFile(a, b) {
			path = abs
		}
	}
	return append([]string{path}, args[1:]...)
}

// A successor is a process that was started to replace this one.
type successor struct {
	process *os.Process
	forget  func() // by the reaper
	report  *os.File
	own     *os.File
	serves  successorReport
	sockets map[int]socket
	done    chan error // receives nil when it serves, or why it does not, and has ended

	cancelled atomic.Bool
}

func (x socket) own() bool          { return x.address != "" }
func (x socket) conn() syscall.Conn { return x.listener.(syscall.Conn) }

// startSuccessor starts the process that is to replace this one.
func (d *Daemon) startSuccessor(sockets []socket) (*successor, error) {
	switch {
	case os.Getpid() == 1:
		return nil, errors.New("this is process 1, and a container ends with it: replace the container")
	case len(d.args) == 0:
		return nil, errors.New("this process has given up the rights that its successor would need: restart it")
	case len(sockets) == 0:
		return nil, errors.New("it serves a single connection, and ends with it")
	}
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reportEnd.Close()
	ownEnd, own, err := os.Pipe()
	if err != nil {
		report.Close()
		return nil, err
	}
	defer ownEnd.Close()
	s := &successor{report: report, own: own, sockets: make(map[int]socket), done: make(chan error, 1)}
	if err := s.start(d, sockets, reportEnd, ownEnd); err != nil {
		s.close()
		return nil, err
	}
	go func() { s.done <- s.await() }()
	return s, nil
}

// start starts the process with the sockets and the pipes.
func (s *successor) start(d *Daemon, sockets []socket, report, own syscall.Conn) error {
	const none = ^uintptr(0)
	files := []uintptr{0, 1, 2}
	var copies []int
	defer func() {
		for _, fd := range copies {
			unix.Close(fd)
		}
	}()
	// Copies, as nothing may close them meanwhile.
	copied := func(c syscall.Conn) (fd int, err error) {
		raw, err := c.SyscallConn()
		if err != nil {
			return 0, err
		}
		cerr := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
		if err = errors.Join(err, cerr); err == nil {
			copies = append(copies, fd)
		}
		return fd, err
	}
	var passed []int
	for _, x := range sockets {
		if x.own() {
			continue
		}
		fd, err := copied(x.conn())
		if err != nil {
			return err
		}
		for len(files) <= x.fd {
			files = append(files, none)
		}
		files[x.fd] = uintptr(fd)
		passed = append(passed, x.fd)
	}
	add := func(c syscall.Conn) (int, error) {
		fd, err := copied(c)
		files = append(files, uintptr(fd))
		return len(files) - 1, err
	}
	var h heritage
	var errs [2]error
	h.Report, errs[0] = add(report)
	h.Own, errs[1] = add(own)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, x := range sockets {
		// If the path of a unix socket leads to another one by now, or to none, the
		// successor is to find that, and this process has a socket of its own.
		if u, ok := x.listener.(*unixListener); !x.own() || ok && !u.inPlace() {
			continue
		}
		n, err := add(x.conn())
		if err != nil {
			return err
		}
		h.Sockets = append(h.Sockets, heritageSocket{x.address, n})
		s.sockets[n] = x
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	env := append(os.Environ(), upgradeVariable+"="+string(text))
	env = append(append(env, d.notifier.Environ()...), listenVariables(d.listenNames, passed)...)
	var pid int
	s.forget, err = d.reaper.Spare(func() (_ int, err error) {
		// In a session of its own: what a terminal sends to this process is not for it.
		pid, _, err = syscall.StartProcess(d.args[0], d.args, &syscall.ProcAttr{Env: env, Files: files, Sys: &syscall.SysProcAttr{Setsid: true}})
		return pid, err
	})
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: %w: put the new binary there", d.args[0], err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s: %w: make it executable (chmod 755)", d.args[0], err)
	case err != nil:
		return fmt.Errorf("%s: %w", d.args[0], err)
	}
	if s.process, err = os.FindProcess(pid); err != nil {
		return err
	}
	return s.report.SetReadDeadline(time.Now().Add(successorTime))
}

// listenVariables returns LISTEN_FDS and LISTEN_FDNAMES as this process had them. If names
// is nil, or not all of these descriptors are passed on, there are none.
func listenVariables(names []string, passed []int) []string {
	for i := range names {
		if !slices.Contains(passed, 3+i) {
			return nil
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{"LISTEN_FDS=" + strconv.Itoa(len(names)), "LISTEN_FDNAMES=" + strings.Join(names, ":")}
}

// await waits until the successor serves. If it does not, await ends it, and says why.
func (s *successor) await() error {
	var r successorReport
	err := json.NewDecoder(io.LimitReader(s.report, 1<<20)).Decode(&r)
	switch {
	case err == nil && r.Error == "":
		s.serves = r
		return nil
	case err == nil:
		err = errors.New(strings.ReplaceAll(r.Error, "\n", "; "))
	case s.cancelled.Load():
		err = errors.New("this process is to end")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("it does not serve after %v", successorTime)
	default:
		err = errors.New("it ended before it served, and may have said why")
	}
	return s.end(err)
}

// end ends the successor, which has failed with err, and waits for its end.
func (s *successor) end(err error) error {
	s.process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(successorGrace, func() { s.process.Kill() })
	state, werr := s.process.Wait()
	kill.Stop()
	s.forget()
	if werr == nil {
		err = fmt.Errorf("%w (%v)", err, state)
	}
	return err
}

// result returns a channel that receives the result of await. If s is nil, it is nil, too.
func (s *successor) result() <-chan error {
	if s == nil {
		return nil
	}
	return s.done
}

// cancel has await end the successor, unless it serves already.
func (s *successor) cancel() {
	s.cancelled.Store(true)
	s.report.SetReadDeadline(time.Unix(1, 0))
}

// handOver leaves to the successor the sockets that it has taken, and the file with the
// number of this process, if it has that.
func (s *successor) handOver(pidFile string) {
	for _, fd := range s.serves.Taken {
		if l, ok := s.sockets[fd].listener.(interface{ Share() }); ok {
			l.Share()
		}
	}
	if pidFile != "" && pidFile != s.serves.PIDFile {
		removePIDFile(pidFile)
	}
}

// close ends what this process has to do with the successor.
func (s *successor) close() {
	s.report.Close()
	s.own.Close()
}
