package daemon

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"time"

	"gatehouse/cgi/cgihead"
	"gatehouse/internal/frontend"
)

// What the process holds beside what limits count.
const (
	processMemory    = 32 << 20
	connectionMemory = frontend.FreeMemory + 2*frontend.BufferSize
	programMemory    = 256 << 10 // buffers for its input and output
)

// MemoryBound returns how many bytes of memory the process can have from the system with a
// number of listeners and of programs that run at once, by the rule of docs/limits.md. It is
// far too large where a limit is off.
func (l Limits) MemoryBound(listeners, programs int) float64 {
	l.share(nil)
	front := l.Front.WithDefaults()
	head := cmp.Or(l.Programs.HeadBytes, cgihead.DefaultLimit)
	held := float64(listeners)*float64(front.Connections)*connectionMemory +
		float64(front.ParamsTotal.Max()) + float64(front.Spool.MemoryTotal.Max()) +
		float64(programs)*(programMemory+float64(head)+2*float64(front.ParamsBytes))
	return processMemory + 2*held // the garbage collector lets as much become garbage
}

// When memory is returned to the system. The runtime alone does so after minutes: it collects
// garbage every two where little is allocated, twice for what pools hold, and then returns it
// slowly.
const (
	memoryInterval = 5 * time.Second  // between two looks
	memoryPause    = 20 * time.Second // at least, between two returns
	muchMemory     = 32 << 20         // that was given up is returned
	busyMemory     = 64 << 20         // is allocated in an interval by a process that needs the rest soon
	goroutineCost  = 16 << 10         // bytes, with the request that a goroutine serves
)

// A memoryUse is what a look at the process finds.
type memoryUse struct {
	held      int64 // bytes that the totals of Limits count, and that goroutines cost
	mapped    int64 // bytes that the process has from the system
	allocated int64 // bytes that were allocated since it started
}

// A memoryReturn decides when to return memory: after much was given up at once, as at the end
// of an attack, and once the process is quiet after it grew.
type memoryReturn struct {
	most      int64 // held, since memory was returned last
	least     int64 // mapped, likewise
	allocated int64 // as of the last look
	since     time.Duration
}

// look reports whether memory is to be returned.
func (m *memoryReturn) look(u memoryUse, elapsed time.Duration) bool {
	m.most, m.since = max(m.most, u.held), m.since+elapsed
	if m.least == 0 || u.mapped < m.least {
		m.least = u.mapped
	}
	quiet := u.allocated-m.allocated < busyMemory
	m.allocated = u.allocated
	return m.since >= memoryPause && (m.most-u.held >= muchMemory || quiet && u.mapped-m.least >= 2*muchMemory)
}

// returned notes what the process uses after memory was returned.
func (m *memoryReturn) returned(u memoryUse) {
	*m = memoryReturn{most: u.held, least: u.mapped, allocated: u.allocated}
}

// returnMemory returns memory to the system until stop is closed.
func (l *Limits) returnMemory(stop <-chan struct{}) {
	t := time.NewTicker(memoryInterval)
	defer t.Stop()
	var stats runtime.MemStats // package runtime/metrics makes its table at the start of every process
	use := func() memoryUse {
		runtime.ReadMemStats(&stats)
		return memoryUse{held: l.Front.ParamsTotal.Used() + l.Spool.MemoryTotal.Used() + goroutineCost*int64(runtime.NumGoroutine()),
			mapped: int64(stats.Sys - stats.HeapReleased), allocated: int64(stats.TotalAlloc)}
	}
	m := memoryReturn{since: memoryPause}
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if m.look(use(), memoryInterval) {
			debug.FreeOSMemory()
			debug.FreeOSMemory() // now also what pools held
			m.returned(use())
		}
	}
}
