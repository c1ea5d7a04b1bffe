package daemon

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"gatehouse"
	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/cgi/slow"
	"gatehouse/cgi/spool"
)

// Limits are the limits of a daemon. The zero value has the defaults of [LimitTable].
type Limits struct {
	Front      cgi.Limits    // of the front-ends
	Programs   script.Limits // of applications that run programs
	Spool      spool.Limits  // of each spool of either
	SpoolTotal int64         // bytes in all spools together; 0 means 8 GiB, negative no limit
	Drain      time.Duration // for requests in flight on shutdown; 0 means 30 s, negative no limit
	DrainDelay time.Duration // from a signal that asks for it to a drain; 0 and less mean none
	Slow       slow.Limits   // which requests of an application are logged as slow

	// ParamsTotal is what the requests of all connections hold together in memory, and
	// SpoolMemoryTotal what all spools do; 0 means 256 MiB each, negative no limit.
	ParamsTotal, SpoolMemoryTotal int64
}

// share gives the front-ends and the handler the totals, which are for all of them together:
// those of before, if it is not nil, which resize changes.
func (l *Limits) share(before *Limits) {
	if before != nil {
		l.Front.ParamsTotal, l.Spool.Total, l.Spool.MemoryTotal = before.Front.ParamsTotal, before.Spool.Total, before.Spool.MemoryTotal
	} else {
		l.Front.ParamsTotal, l.Spool.Total, l.Spool.MemoryTotal = spool.NewBudget(0), spool.NewBudget(0), spool.NewBudget(0)
		l.resize()
	}
	l.Front.Spool = l.Spool
}

// resize gives the totals their sizes.
func (l *Limits) resize() {
	l.Front.ParamsTotal.Resize(cmp.Or(l.ParamsTotal, spool.DefaultMemoryTotal))
	l.Spool.Total.Resize(l.SpoolTotal)
	l.Spool.MemoryTotal.Resize(cmp.Or(l.SpoolMemoryTotal, spool.DefaultMemoryTotal))
}

const defaultDrain = gatehouse.DefaultDrain

// A Limit is a row of the table of limits: a key of the configuration.
type Limit struct {
	Key     string
	Default string // in the form of a value, or in words if it depends on the machine
	Unit    Unit
	Over    string // what happens beyond it
	PerApp  bool   // may also be set for a single application

	finite bool                // "off" is rejected
	at     func(l *Limits) any // the field: a pointer to an int, an int64, a time.Duration or a string
}

// PerApp and finite in the table.
const (
	whole, perApp = false, true
	orOff, finite = false, true
)

// A Unit is what the value of a limit counts.
type Unit string

// The units of limits, as worded in messages.
const (
	UnitCount     Unit = "a whole number"
	UnitSize      Unit = `a size, such as 65536, "64KiB" or "1GiB"`
	UnitDuration  Unit = `a time, such as "500ms", "60s" or "2m"`
	UnitRate      Unit = `a number of bytes a second, such as 500 or "10KiB"`
	UnitDirectory Unit = "the path of a directory"
)

// LimitTable returns the limits that a configuration can set, in the order of the manual.
// Most can also be "off".
func LimitTable() []Limit {
	return []Limit{
		{"max_connections", "10000", UnitCount, "the longest idle are closed, or the listener accepts no more until one is", whole, orOff, func(l *Limits) any { return &l.Front.Connections }},
		{"max_requests", "100", UnitCount, "further requests on a FastCGI connection are refused (CANT_MPX_CONN), or wait", whole, orOff, func(l *Limits) any { return &l.Front.Requests }},
		{"params_bytes", "1MiB", UnitSize, "431", whole, orOff, func(l *Limits) any { return &l.Front.ParamsBytes }},
		{"params_count", "1000", UnitCount, "431", whole, orOff, func(l *Limits) any { return &l.Front.ParamsCount }},
		{"params_total", "256MiB", UnitSize, "503, or CANT_MPX_CONN; usual requests are served (docs/limits.md)", whole, orOff, func(l *Limits) any { return &l.ParamsTotal }},
		{"head_bytes", "64KiB", UnitSize, "502", perApp, finite, func(l *Limits) any { return &l.Programs.HeadBytes }},
		{"stderr_bytes", "64KiB", UnitSize, "the rest of a program's stderr is counted, and neither logged nor passed on", perApp, orOff, func(l *Limits) any { return &l.Programs.StderrBytes }},
		{"body_bytes", "off", UnitSize, "413", whole, orOff, func(l *Limits) any { return &l.Front.BodyBytes }},
		{"spool_memory", "1MiB", UnitSize, "the body goes to a file in spool_dir", whole, finite, func(l *Limits) any { return &l.Spool.Memory }},
		{"spool_bytes", "1GiB", UnitSize, "413", whole, orOff, func(l *Limits) any { return &l.Spool.Max }},
		{"spool_total", "8GiB", UnitSize, "503", whole, orOff, func(l *Limits) any { return &l.SpoolTotal }},
		{"spool_memory_total", "256MiB", UnitSize, "bodies go to files in spool_dir sooner", whole, orOff, func(l *Limits) any { return &l.SpoolMemoryTotal }},
		{"spool_dir", "the temporary directory", UnitDirectory, "503 when its disk is full", whole, orOff, func(l *Limits) any { return &l.Spool.Dir }},
		{"programs", "4 for each processor", UnitCount, "requests wait in the queue", perApp, orOff, func(l *Limits) any { return &l.Programs.Programs }},
		{"programs_per_script", "off", UnitCount, "requests for that script wait in the queue, without delaying others", perApp, orOff, func(l *Limits) any { return &l.Programs.ProgramsPerScript }},
		{"programs_per_address", "off", UnitCount, "requests of that client (REMOTE_ADDR) wait in the queue, without delaying others", perApp, orOff, func(l *Limits) any { return &l.Programs.ProgramsPerAddress }},
		{"queue", "1024", UnitCount, "503 with Retry-After", perApp, finite, func(l *Limits) any { return &l.Programs.Queue }},
		{"queue_wait", "10s", UnitDuration, "503 with Retry-After", perApp, orOff, func(l *Limits) any { return &l.Programs.QueueWait }},
		{"first_byte", "60s", UnitDuration, "the program is terminated: 504", perApp, orOff, func(l *Limits) any { return &l.Programs.FirstByte }},
		{"silence", "120s", UnitDuration, "the program is terminated: 504, or a truncated response", perApp, orOff, func(l *Limits) any { return &l.Programs.Silence }},
		{"run", "off", UnitDuration, "the program is terminated: 504, or a truncated response", perApp, orOff, func(l *Limits) any { return &l.Programs.Run }},
		{"slow", "off", UnitDuration, "the log says what the request waits for, while it still runs (docs/operating.md)", perApp, orOff, func(l *Limits) any { return &l.Slow.After }},
		{"slow_interval", "10s", UnitDuration, "one slow request is logged, and further ones within it are counted in the next line", perApp, orOff, func(l *Limits) any { return &l.Slow.Interval }},
		{"cpu", "off", UnitDuration, "504, or a truncated response (CPU time of a program and its descendants)", perApp, orOff, func(l *Limits) any { return &l.Programs.CPU }},
		{"address_space", "off", UnitSize, "the program gets no more memory (each process)", perApp, orOff, func(l *Limits) any { return &l.Programs.AddressSpace }},
		{"open_files", "off", UnitCount, "the program cannot open more (each process)", perApp, orOff, func(l *Limits) any { return &l.Programs.OpenFiles }},
		{"file_bytes", "off", UnitSize, "the program cannot write more to the file", perApp, orOff, func(l *Limits) any { return &l.Programs.FileBytes }},
		{"processes", "off", UnitCount, "the program cannot start more (all processes of its user)", perApp, orOff, func(l *Limits) any { return &l.Programs.Processes }},
		{"body_read", "60s", UnitDuration, "408, or a truncated response", whole, orOff, func(l *Limits) any { return &l.Front.BodyRead }},
		{"body_rate", "500", UnitRate, "408, or a truncated response, when a body is 60 s behind this rate", whole, orOff, func(l *Limits) any { return &l.Front.BodyRate }},
		{"write", "60s", UnitDuration, "the connection is closed", whole, orOff, func(l *Limits) any { return &l.Front.Write }},
		{"idle", "75s", UnitDuration, "the connection is closed", whole, orOff, func(l *Limits) any { return &l.Front.Idle }},
		{"grace", "3s", UnitDuration, "a program that ignores SIGTERM gets SIGKILL", perApp, finite, func(l *Limits) any { return &l.Programs.Grace }},
		{"drain_delay", "off", UnitDuration, "the drain begins; between SIGTERM and that, new connections are served", whole, orOff, func(l *Limits) any { return &l.DrainDelay }},
		{"drain", "30s", UnitDuration, "responses in flight are truncated", whole, orOff, func(l *Limits) any { return &l.Drain }},
	}
}

// Set sets the limit in l to a value from a configuration, a number or a string.
func (row Limit) Set(l *Limits, value any) error {
	if row.Unit == UnitDirectory {
		s, ok := value.(string)
		if !ok || s == "" {
			return fmt.Errorf("%s is not %s", quoted(value), row.Unit)
		}
		if err := checkAbsolute(s); err != nil {
			return err
		}
		if err := checkDirectory(s); err != nil {
			return err
		}
		*row.at(l).(*string) = filepath.Clean(s)
		return nil
	}
	n, err := row.parse(value)
	if err != nil {
		return err
	}
	switch field := row.at(l).(type) {
	case *int:
		*field = int(min(n, math.MaxInt32))
	case *int64:
		*field = n
	case *time.Duration:
		*field = time.Duration(n)
	}
	return nil
}

// parse returns a value as a number, -1 for "off".
func (row Limit) parse(value any) (n int64, err error) {
	if value == "off" || row.Unit == UnitRate && value == int64(0) {
		if row.finite {
			return 0, fmt.Errorf("%q cannot be off: write %s", row.Key, row.Unit)
		}
		return -1, nil
	}
	switch row.Unit {
	case UnitCount:
		n, err = parseCount(value)
	case UnitSize, UnitRate:
		n, err = parseSize(value)
	case UnitDuration:
		n, err = parseDuration(value)
	}
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		if row.finite {
			return 0, fmt.Errorf("%s is not more than zero: write %s", quoted(value), row.Unit)
		}
		return 0, fmt.Errorf(`%s is not more than zero: write %s, or "off" for no limit`, quoted(value), row.Unit)
	}
	return n, nil
}
