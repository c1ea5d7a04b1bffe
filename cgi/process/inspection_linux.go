package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxCounted bounds how many processes of a program a look counts.
	maxCounted = 256

	// maxListed bounds how many descriptors of a process a look counts.
	maxListed = 1024
)

// A look is one look at the processes of a program, in /proc. Everyone may read there which
// processes there are, and their command lines, states, times and memory, unless /proc hides
// the processes of other users (hidepid). Wait channel, system call and descriptors need the
// right to trace the process (ptrace(2)).
type look struct {
	program *Process
	stopped atomic.Bool // nobody waits for it any more
	now     time.Duration
	found   Inspection
	gaps    []gap
	ends    ends
}

// A gap is what could not be read of processes, for one reason.
type gap struct {
	what, reason string
	pids         []string
}

func (l *look) inspect() Inspection {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		l.now = time.Duration(ts.Nano())
	}
	l.ends = l.program.ends()
	l.walk(l.program.pid, 0, 0)
	for _, pid := range l.program.apart() {
		if !l.seen(pid) {
			l.walk(pid, 1, 0)
		}
	}
	if len(l.found.Processes) > 0 {
		l.found.Pipes = l.ends.describe()
	}
	for _, g := range l.gaps {
		l.found.Unread = append(l.found.Unread, g.what+" of "+strings.Join(g.pids, ", ")+": "+g.reason)
	}
	return l.found
}

func (l *look) seen(pid int) bool {
	for i := range l.found.Processes {
		if l.found.Processes[i].PID == pid {
			return true
		}
	}
	return false
}

// walk looks at a process and its descendants. A parent of 0 is any.
func (l *look) walk(pid, depth, parent int) {
	n := len(l.found.Processes)
	switch {
	case l.stopped.Load() || n+l.found.More >= maxCounted:
		return
	case n >= maxInspected:
		l.found.More++
	default:
		x, ok := l.at(pid, parent)
		if !ok {
			return
		}
		x.Depth = depth
		l.found.Processes = append(l.found.Processes, x)
	}
	below := children(pid)
	for _, child := range below {
		l.walk(child, depth+1, pid)
	}
	if n < len(l.found.Processes) {
		l.found.Processes[n].explain(len(below) > 0)
	}
}

// at looks at one process, and reports false if it has ended, or its number is another's.
func (l *look) at(pid, parent int) (x Inspected, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	x = Inspected{PID: pid, User: -1, Descriptors: -1}
	text, err := readSome(dir+"/stat", 4096)
	st, serr := parseStat(text)
	switch {
	case err != nil && parent == 0 && !l.program.HasExited():
		l.miss("everything", pid, hiddenReason(err))
		x.Command = "(hidden)"
		return x, true
	case err != nil || serr != nil || parent != 0 && st.parent != parent:
		return x, false
	}
	x.State = string(st.state)
	x.CPU = time.Duration(st.ticks) * (time.Second / clockTicks)
	name, more := statDetails(text)
	x.Threads, x.Memory = int(more.threads), more.pages*int64(os.Getpagesize())
	if more.start > 0 && l.now > 0 {
		x.Age = max(0, l.now-time.Duration(more.start)*(time.Second/clockTicks))
	}
	x.Command = "[" + printable(name, maxCommand) + "]"
	x.User = userOf(dir)
	if !st.isDead() {
		if line, err := readSome(dir+"/cmdline", 4096); err != nil {
			l.miss("command line", pid, l.denied(&x, err))
		} else if len(line) > 0 {
			x.Command = commandText(line)
		}
		l.traced(&x, dir)
	}
	// What was read is of one process if it is still the same one.
	again, err := readSome(dir+"/stat", 4096)
	if _, now := statDetails(again); err != nil || now.start != more.start {
		return x, false
	}
	return x, true
}

// traced reads what needs the right to trace a process.
func (l *look) traced(x *Inspected, dir string) {
	var missing []string
	var reason error
	miss := func(what string, err error) {
		missing = append(missing, what)
		if reason == nil {
			reason = err
		}
	}
	call, err := readSome(dir+"/syscall", 256)
	var c syscallLine
	if err == nil {
		c = parseSyscall(call)
		x.Call = c.String()
	} else {
		miss("system call", err)
	}
	channel, cerr := readSome(dir+"/wchan", 128)
	x.Channel = string(bytes.TrimSpace(channel))
	if x.Channel == "0" {
		x.Channel = ""
		if x.State != "R" && err != nil && cerr == nil {
			cerr = err // the kernel shows 0 to those who may not know
		}
	}
	if cerr != nil {
		miss("wait channel", cerr)
	}
	names, err := listSome(dir+"/fd", maxListed)
	if err == nil {
		x.Descriptors = len(names)
		x.Peers = peersOf(dir, names)
		if c.fd >= 0 {
			link, _ := os.Readlink(dir + "/fd/" + strconv.Itoa(c.fd))
			stderr, _ := os.Readlink(dir + "/fd/2")
			x.Waits = c.waitsFor(link, stderr, l.ends)
		}
	} else {
		miss("descriptors", err)
	}
	if len(missing) > 0 {
		l.miss(strings.Join(missing, ", "), x.PID, l.denied(x, reason))
	}
}

// miss notes what could not be read.
func (l *look) miss(what string, pid int, reason string) {
	if errGone == reason {
		return
	}
	for i := range l.gaps {
		if g := &l.gaps[i]; g.what == what && g.reason == reason {
			g.pids = append(g.pids, strconv.Itoa(pid))
			return
		}
	}
	l.gaps = append(l.gaps, gap{what, reason, []string{strconv.Itoa(pid)}})
}

// errGone stands for the reason that a process has ended meanwhile, which is none.
const errGone = "it has ended"

// denied says why something of a process cannot be read.
func (l *look) denied(x *Inspected, err error) string {
	self := os.Geteuid()
	switch {
	case errors.Is(err, unix.ESRCH):
		return errGone
	case errors.Is(err, fs.ErrNotExist):
		return "the kernel does not show it"
	case !errors.Is(err, fs.ErrPermission):
		return bareError(err)
	case x.User >= 0 && x.User != self:
		return fmt.Sprintf("run by user %d, and gatehouse, run by user %d, lacks the right to trace others (CAP_SYS_PTRACE)", x.User, self)
	}
	return "gatehouse lacks the right to trace it (kernel.yama.ptrace_scope, a security module, or a program that forbids it)"
}

// hiddenReason says why nothing at all is shown of a process that is there.
func hiddenReason(err error) string {
	if _, self := os.Stat("/proc/self/stat"); self != nil {
		return "/proc is not mounted where gatehouse runs"
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "/proc hides the processes of other users (its option hidepid, in a systemd unit ProtectProc=)"
	}
	return bareError(err)
}

// bareError returns an error without the path that it is about.
func bareError(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// statDetail is more of what /proc/PID/stat tells.
type statDetail struct {
	threads, start, pages int64 // start: in ticks, since the system's
}

// statDetails returns the name of a process, and more. The text is one that parseStat takes.
func statDetails(text []byte) (name string, d statDetail) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return "", d
	}
	f := bytes.Fields(text[end+1:])
	number := func(i int) int64 {
		if i >= len(f) {
			return 0
		}
		n, _ := strconv.ParseInt(string(f[i]), 10, 64)
		return n
	}
	return string(text[open+1 : end]), statDetail{threads: number(17), start: number(19), pages: number(21)}
}

// userOf returns the effective user of a process, by its directory in /proc, or -1.
func userOf(dir string) int {
	text, _ := readSome(dir+"/status", 4096)
	_, rest, _ := bytes.Cut(text, []byte("\nUid:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if f := bytes.Fields(line); len(f) > 1 {
		if n, err := strconv.Atoi(string(f[1])); err == nil {
			return n
		}
	}
	return -1
}

// readSome reads up to max bytes of a file in /proc.
func readSome(name string, max int) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(max)))
}

// listSome lists up to max entries of a directory in /proc.
func listSome(name string, max int) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(max)
	if err == io.EOF {
		err = nil
	}
	return names, err
}

// apart returns the processes of the program that are not among the descendants of its
// first: those that have left its group, as far as they are known, and those in a control
// group of its own.
func (p *Process) apart() (pids []int) {
	p.mu.Lock()
	if p.reaped {
		p.mu.Unlock()
		return nil
	}
	for _, s := range p.strays {
		pids = append(pids, s.pid)
	}
	own := ""
	if p.cgroup != nil && p.cgroup.own {
		own = p.cgroup.dir
	}
	p.mu.Unlock()
	if own != "" {
		text, _ := readSome(filepath.Join(own, "cgroup.procs"), 4096)
		for _, f := range bytes.Fields(text) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
