package daemon

import (
	"errors"
	"os"
	"syscall"

	"gatehouse/internal/frontend"
)

// Signals that do not exist here.
const (
	signalReopen  = syscall.Signal(-1)
	signalUpgrade = syscall.Signal(-2)
)

func upgradeSignals() []os.Signal { return nil }

// CommandLine returns nil: a process cannot be replaced here.
func CommandLine([]string) []string { return nil }

// A Predecessor is a process that this one was started to replace. There is none here.
type Predecessor struct{}

// FindPredecessor returns nil.
func FindPredecessor() (*Predecessor, error) { return nil, nil }

// Refuse returns false.
func (p *Predecessor) Refuse(error) bool { return false }

func (p *Predecessor) take(Address) (*frontend.Listener, error) { return nil, nil }

func (p *Predecessor) serves(string) (left <-chan struct{}, stop func()) { return nil, func() {} }

func (p *Predecessor) takeOver() {}

type successor struct {
	process *os.Process
	done    chan error
}

func (d *Daemon) startSuccessor([]socket) (*successor, error) {
	return nil, errors.New("not available on Windows")
}

func (s *successor) result() <-chan error { return nil }
func (s *successor) cancel()              {}
func (s *successor) handOver(string)      {}
func (s *successor) close()               {}
