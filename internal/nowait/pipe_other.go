//go:build !linux

package nowait

import (
	"os"
	"syscall"
)

// PipeDescriptors is how many descriptors a Pipe takes.
const PipeDescriptors = 0

// A Pipe does not exist here.
type Pipe struct{}

// NewPipe returns nil here.
func NewPipe() *Pipe { return nil }

// In is not available here.
func (p *Pipe) In() int { return -1 }

// Out is not available here.
func (p *Pipe) Out() int { return -1 }

// Len is not available here.
func (p *Pipe) Len() int { return 0 }

// Read is not available here.
func (p *Pipe) Read([]byte) (int, error) { return 0, syscall.EINVAL }

// Close does nothing here.
func (p *Pipe) Close() {}

// FillMost is how many bytes of a file a Pipe takes at once.
const FillMost = 0

// Fill is not available here.
func (p *Pipe) Fill(*os.File, int64, int) (int, error) { return 0, syscall.EINVAL }
