//go:build unix

package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"gatehouse/internal/frontend"

	"golang.org/x/sys/unix"
)

// upgradeVariable tells a process that it is the successor of another one, and what that
// passes on: a heritage.
const upgradeVariable = "GATEHOUSE_UPGRADE"

// A heritage is what a process passes on to its successor. All numbers are of descriptors.
type heritage struct {
	Report int // a pipe for a successorReport
	Own    int // a pipe that ends when the sockets are the successor's

	// Sockets are those that the process has bound itself. Others are passed on as
	// they were passed to it: with their numbers, and with LISTEN_FDS and
	// LISTEN_FDNAMES.
	Sockets []heritageSocket
}

type heritageSocket struct {
	Address string // see Address.place
	FD      int
}

// A successorReport is what a successor says: why it does not serve, or that it does, which
// sockets it has taken, and where it writes its number.
type successorReport struct {
	Error   string `json:",omitempty"`
	Taken   []int  // descriptors
	PIDFile string `json:",omitempty"`
}

// A Predecessor is a process that this one was started to replace, because of SIGUSR2. A
// nil Predecessor stands for none.
type Predecessor struct {
	left        []heritageSocket // not taken
	taken       []int
	shared      []*frontend.Listener // the predecessor has them, too
	report, own *os.File
}

// FindPredecessor returns the process that this one is to replace, or nil. It removes the
// variable that says so, so a second call returns nil.
func FindPredecessor() (*Predecessor, error) {
	text, ok := os.LookupEnv(upgradeVariable)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(upgradeVariable)
	var h heritage
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("%s is %q, which no gatehouse sets: unset it", upgradeVariable, text)
	}
	p := &Predecessor{left: h.Sockets}
	fds := []int{h.Report, h.Own}
	for _, s := range h.Sockets {
		fds = append(fds, s.FD)
	}
	for _, fd := range fds {
		if fd < 3 {
			return nil, fmt.Errorf("%s is %q, which no gatehouse sets: unset it", upgradeVariable, text)
		}
		unix.CloseOnExec(fd)
	}
	if err := unix.SetNonblock(h.Own, true); err != nil { // for own to be closed while it is read
		return nil, fmt.Errorf("%s: descriptor %d: %w", upgradeVariable, h.Own, err)
	}
	p.report, p.own = os.NewFile(uintptr(h.Report), "report"), os.NewFile(uintptr(h.Own), "own")
	if _, ok := os.LookupEnv("LISTEN_FDS"); ok { // the predecessor could not know the number of this process
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	return p, nil
}

// Refuse tells the predecessor, which serves on, why this process does not replace it. It
// reports whether there is a predecessor to tell.
func (p *Predecessor) Refuse(err error) bool {
	return p != nil && p.tell(successorReport{Error: err.Error()}) == nil
}

func (p *Predecessor) tell(r successorReport) error {
	if p.report == nil {
		return errors.New("the predecessor has been told")
	}
	err := json.NewEncoder(p.report).Encode(r)
	err = errors.Join(err, p.report.Close())
	p.report = nil
	return err
}

// take returns the predecessor's listener for an address, or nil if it has none.
func (p *Predecessor) take(a Address) (*frontend.Listener, error) {
	if p == nil {
		return nil, nil
	}
	place := a.place()
	i := slices.IndexFunc(p.left, func(s heritageSocket) bool { return s.Address == place })
	if i < 0 {
		return nil, nil
	}
	s := p.left[i]
	p.left = slices.Delete(p.left, i, i+1)
	f := os.NewFile(uintptr(s.FD), place)
	l, err := net.FileListener(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%v, which is taken over: %w", a, cause(err))
	}
	own := frontend.Own(l)
	own.Share()
	p.taken = append(p.taken, s.FD)
	p.shared = append(p.shared, own)
	return own, nil
}

// serves tells the predecessor that this process serves. The channel is closed when the
// predecessor has left its sockets to this process, or has ended. stop ends the waiting.
func (p *Predecessor) serves(pidFile string) (left <-chan struct{}, stop func()) {
	if p == nil {
		return nil, func() {}
	}
	for _, s := range p.left {
		unix.Close(s.FD)
	}
	_ = p.tell(successorReport{Taken: p.taken, PIDFile: pidFile}) // it has ended, perhaps
	gone, waited := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(waited)
		if _, err := p.own.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
			close(gone)
		}
	}()
	return gone, func() {
		p.own.Close()
		<-waited
	}
}

// takeOver makes the sockets this process's own.
func (p *Predecessor) takeOver() {
	for _, l := range p.shared {
		l.Unshare()
	}
}
