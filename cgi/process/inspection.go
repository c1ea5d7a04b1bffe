package process

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Bounds of an Inspection.
const (
	maxInspected  = 32              // processes that are described
	maxCommand    = 200             // bytes of a command line
	inspectionMax = 1 * time.Second // that Inspect takes
)

// An Inspection is what the processes of a program do at one moment. It is made of what the
// system shows of other processes, and needs no right to trace them; what that right would
// have shown besides is listed in Unread. The environment of a process is never part of it.
type Inspection struct {
	// Processes are the program, and then its descendants, each behind its parent: 32 at
	// most. They are empty if the program has ended.
	Processes []Inspected `json:"processes"`

	// More is how many there are beyond those.
	More int `json:"more,omitempty"`

	// Pipes says what is held up in the pipes to and from the program, in words.
	Pipes []string `json:"pipes,omitempty"`

	// Unread says what could not be read, of which processes, and why.
	Unread []string `json:"unread,omitempty"`
}

// An Inspected is one process of an Inspection. What is not known is zero, or -1.
type Inspected struct {
	PID         int           `json:"pid"`
	Depth       int           `json:"depth"`                  // 0 for the program, 1 for its children
	User        int           `json:"user"`                   // the number of its user; -1
	Command     string        `json:"command"`                // the command line, cut at 200 bytes, without what looks like a password; the name in brackets if there is none
	State       string        `json:"state"`                  // the letter of ps(1)
	Channel     string        `json:"wait_channel,omitempty"` // the function of the kernel that it sleeps in
	Call        string        `json:"system_call,omitempty"`  // the system call that it is in
	Waits       string        `json:"waits,omitempty"`        // what it waits for, in words, where that can be told
	CPU         time.Duration `json:"cpu"`                    // CPU time, with that of children that have ended
	Age         time.Duration `json:"age"`                    // since its start
	Memory      int64         `json:"memory"`                 // resident bytes
	Threads     int           `json:"threads,omitempty"`      // the state is that of the first of them
	Descriptors int           `json:"descriptors"`            // that are open, 1,024 at most; -1
	Peers       []string      `json:"peers,omitempty"`        // addresses that it is connected to by TCP, 4 at most
}

// stateWords are the states of ps(1) in words.
var stateWords = map[string]string{
	"R": "running", "S": "sleeping", "D": "waiting for a disk or a device, uninterruptible", "T": "stopped by a signal",
	"t": "stopped by a debugger", "Z": "ended, and not waited for by its parent", "X": "ended", "I": "idle",
}

// StateWord returns the state in words.
func (x *Inspected) StateWord() string {
	if w := stateWords[x.State]; w != "" {
		return w
	}
	return "state unknown"
}

// String describes the process on one line.
func (x *Inspected) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s", x.PID, x.Command, x.StateWord())
	if x.State != "" {
		fmt.Fprintf(&b, " (%s)", x.State)
	}
	fmt.Fprintf(&b, ", age %v, cpu %v, %s", x.Age.Round(time.Millisecond*100), x.CPU.Round(time.Millisecond*10), mebibytes(x.Memory))
	if x.Threads > 1 {
		fmt.Fprintf(&b, ", %d threads", x.Threads)
	}
	if x.Descriptors >= 0 {
		fmt.Fprintf(&b, ", %d descriptors", x.Descriptors)
	}
	if len(x.Peers) > 0 {
		fmt.Fprintf(&b, ", connected to %s", strings.Join(x.Peers, " and "))
	}
	if x.Waits != "" {
		b.WriteString("; " + x.Waits)
	}
	switch {
	case x.Call != "" && x.Channel != "":
		fmt.Fprintf(&b, " [%s, %s]", x.Call, x.Channel)
	case x.Call+x.Channel != "":
		fmt.Fprintf(&b, " [%s]", x.Call+x.Channel)
	}
	return b.String()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// String describes the processes as a tree: a line for each, indented below its parent, and
// then what its pipes hold. Unread is not part of it.
func (n *Inspection) String() string {
	var lines []string
	for i := range n.Processes {
		x := &n.Processes[i]
		lines = append(lines, strings.Repeat("  ", x.Depth)+x.String())
	}
	if n.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", n.More))
	}
	return strings.Join(append(lines, n.Pipes...), "\n")
}

var errLooking = errors.New("an earlier look at them has not come to its end")

// Inspect looks at the processes of the program. It may be called at any time, by any
// goroutine, and takes a second at most: a look that the system holds up for longer, as
// when it swaps, is left to a goroutine that ends with it, and only one of those is there at
// a time.
func (p *Process) Inspect() Inspection {
	if p.HasExited() {
		return Inspection{}
	}
	l := &look{program: p}
	return p.within(inspectionMax, l.inspect, func() { l.stopped.Store(true) })
}

// within returns what look finds, if it does in time. Otherwise it calls stop.
func (p *Process) within(limit time.Duration, look func() Inspection, stop func()) Inspection {
	if !p.looking.CompareAndSwap(false, true) {
		return unread(errLooking)
	}
	found := make(chan Inspection, 1)
	go func() {
		defer p.looking.Store(false)
		found <- look()
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case n := <-found:
		if p.HasExited() {
			return Inspection{} // its number may be another's
		}
		return n
	case <-late.C:
		stop()
		return unread(fmt.Errorf("the system did not show them within %v", limit))
	}
}

// unread returns an Inspection of which nothing could be read.
func unread(reason error) Inspection {
	return Inspection{Unread: []string{"the processes: " + reason.Error()}}
}
