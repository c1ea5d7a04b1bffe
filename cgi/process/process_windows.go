package process

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// killed is the exit status of what this process has terminated.
const killed = 1

// platform is what a process is known by.
type platform struct {
	handle windows.Handle // of the program
	job    windows.Handle // of the program and its descendants
	ended  bool           // by killGroup
}

// newJob returns a job object whose processes end when the last handle of it is closed, at
// the latest with this process.
func newJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("job object: %w", err)
	}
	if err := setJobLimits(job, windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE); err != nil {
		windows.CloseHandle(job)
		return 0, fmt.Errorf("job object: %w", err)
	}
	return job, nil
}

func setJobLimits(job windows.Handle, flags uint32) error {
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = flags
	_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	return err
}

// signalLeader does nothing: Windows has no signals for programs without a console.
func (p *Process) signalLeader(syscall.Signal) {}

// termGroup does what killGroup does: Windows has no signal that asks a program without a
// console to end.
func (p *Process) termGroup() { p.killGroup() }

// killGroup terminates the program and all its descendants.
func (p *Process) killGroup() {
	p.ended = true
	windows.TerminateJobObject(p.job, killed)
}

// An accounting is a JOBOBJECT_BASIC_ACCOUNTING_INFORMATION. Its times are in units of 100 ns.
type accounting struct {
	userTime, kernelTime, periodUserTime, periodKernelTime int64
	faults, total, active, terminated                      uint32
}

func (p *Process) accounting() (a accounting, err error) {
	err = windows.QueryInformationJobObject(p.job, windows.JobObjectBasicAccountingInformation,
		uintptr(unsafe.Pointer(&a)), uint32(unsafe.Sizeof(a)), nil)
	return a, err
}

// othersAlive reports whether a process of the job is left.
func (p *Process) othersAlive() bool {
	a, err := p.accounting()
	return err == nil && a.active > 0
}

// measure returns what the program and its descendants took. Of memory that is the most that
// one of them had committed.
func (p *Process) measure() (u Usage) {
	if a, err := p.accounting(); err == nil {
		u.User, u.System = time.Duration(a.userTime)*100, time.Duration(a.kernelTime)*100
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	if windows.QueryInformationJobObject(p.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)), nil) == nil {
		u.PeakMemory = int64(limits.PeakProcessMemoryUsed)
	}
	return u
}

func (p *Process) awaitExit() { windows.WaitForSingleObject(p.handle, windows.INFINITE) }

// TryWait leaves it to Wait.
func (p *Process) TryWait() bool { return false }

// firstException is the lowest exit status that stands for an exception, as of a program that
// crashed (NTSTATUS with the severity of an error).
const firstException = 0xc0000000

func (p *Process) reap() Status {
	p.usage = p.measure()
	var code uint32
	err := windows.GetExitCodeProcess(p.handle, &code)
	switch {
	case p.ended:
		return Status{Signal: "terminated by gatehouse"}
	case err != nil:
		return Status{Signal: "unknown: " + err.Error()}
	case code >= firstException:
		return Status{Signal: fmt.Sprintf("exception 0x%08x", code)}
	}
	return Status{Code: int(code)}
}

// release lets what the program has left behind go on, as on other systems, unless it was
// terminated.
func (p *Process) release() {
	if p.job != 0 && p.handle != 0 && !p.ended {
		_ = setJobLimits(p.job, 0)
	}
	for _, h := range []*windows.Handle{&p.job, &p.handle} {
		if *h != 0 {
			windows.CloseHandle(*h)
			*h = 0
		}
	}
}

// Exiting is not known here, until the program has been reaped.
func (p *Process) Exiting() (exiting, known bool) { return p.HasExited(), p.HasExited() }
