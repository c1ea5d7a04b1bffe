package daemon

import (
	"fmt"
	"math"
	"path/filepath"
	"time"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/cgi/spool"
)

// Limits are the bounds of a daemon. The zero value has the defaults of
// [LimitTable].
type Limits struct {
	Front      cgi.Limits    // of the front-ends
	Programs   script.Limits // of the applications that run programs
	Spool      spool.Limits  // of each spool of either
	SpoolTotal int64         // bytes that all spools keep together; 0: 8 GiB, negative: no limit
	Drain      time.Duration // for requests in flight at the end; 0: 30 s, negative: no limit
}

const (
	defaultDrain = 30 * time.Second
)

// A Limit is a row of the table of limits: a key of the configuration.
type Limit struct {
	Key     string
	Default string // as it could be written, or in words where it depends on the machine
	Unit    Unit
	Over    string // what happens beyond it
	PerApp  bool   // may be given for one application, too

	number func(l *Limits, n int64)
	text   func(l *Limits, s string) // UnitDirectory only
	finite bool                      // "off" is refused
}

// A Unit is what the value of a limit counts.
type Unit string

// The units of limits, in the words of a message.
const (
	UnitCount     Unit = "a whole number"
	UnitSize      Unit = `a size, such as 65536, "64KiB" or "1GiB"`
	UnitDuration  Unit = `a time, such as "500ms", "60s" or "2m"`
	UnitDirectory Unit = "the path of a directory"
)

// LimitTable returns the limits that a configuration can set, in the order of the
// manual. Each can be "off" where the text of an error says so.
func LimitTable() []Limit {
	return []Limit{
		{Key: "max_connections", Default: "10000", Unit: UnitCount, Over: "a listener accepts no more until one ends",
			number: func(l *Limits, n int64) { l.Front.Connections = int(n) }},
		{Key: "max_requests", Default: "100", Unit: UnitCount, Over: "a FastCGI connection refuses further requests (CANT_MPX_CONN), or they wait",
			number: func(l *Limits, n int64) { l.Front.Requests = int(n) }},
		{Key: "params_bytes", Default: "1MiB", Unit: UnitSize, Over: "431",
			number: func(l *Limits, n int64) { l.Front.ParamsBytes = int(min(n, math.MaxInt32)) }},
		{Key: "params_count", Default: "1000", Unit: UnitCount, Over: "431",
			number: func(l *Limits, n int64) { l.Front.ParamsCount = int(n) }},
		{Key: "head_bytes", Default: "64KiB", Unit: UnitSize, Over: "502", PerApp: true, finite: true,
			number: func(l *Limits, n int64) { l.Programs.HeadBytes = int(min(n, math.MaxInt32)) }},
		{Key: "body_bytes", Default: "off", Unit: UnitSize, Over: "413",
			number: func(l *Limits, n int64) { l.Front.BodyBytes = n }},
		{Key: "spool_memory", Default: "1MiB", Unit: UnitSize, Over: "the body goes to a file in spool_dir", finite: true,
			number: func(l *Limits, n int64) { l.Spool.Memory = n }},
		{Key: "spool_bytes", Default: "1GiB", Unit: UnitSize, Over: "413",
			number: func(l *Limits, n int64) { l.Spool.Max = n }},
		{Key: "spool_total", Default: "8GiB", Unit: UnitSize, Over: "503",
			number: func(l *Limits, n int64) { l.SpoolTotal = n }},
		{Key: "spool_dir", Default: "the temporary directory", Unit: UnitDirectory, Over: "503 when its disk is full",
			text: func(l *Limits, s string) { l.Spool.Dir = s }},
		{Key: "programs", Default: "4 for each processor", Unit: UnitCount, Over: "requests queue", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.Programs = int(n) }},
		{Key: "programs_per_script", Default: "off", Unit: UnitCount, Over: "requests for that script queue, and hold up no others", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.ProgramsPerScript = int(n) }},
		{Key: "programs_per_address", Default: "off", Unit: UnitCount, Over: "requests of that client (REMOTE_ADDR) queue, and hold up no others", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.ProgramsPerAddress = int(n) }},
		{Key: "queue", Default: "1024", Unit: UnitCount, Over: "503 with Retry-After", PerApp: true, finite: true,
			number: func(l *Limits, n int64) { l.Programs.Queue = int(n) }},
		{Key: "queue_wait", Default: "10s", Unit: UnitDuration, Over: "503 with Retry-After", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.QueueWait = time.Duration(n) }},
		{Key: "first_byte", Default: "60s", Unit: UnitDuration, Over: "a program is ended: 504", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.FirstByte = time.Duration(n) }},
		{Key: "silence", Default: "120s", Unit: UnitDuration, Over: "a program is ended: 504, or the answer is truncated", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.Silence = time.Duration(n) }},
		{Key: "run", Default: "off", Unit: UnitDuration, Over: "a program is ended: 504, or the answer is truncated", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.Run = time.Duration(n) }},
		{Key: "cpu", Default: "off", Unit: UnitDuration, Over: "504, or the answer is truncated (CPU time of a program and its descendants)", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.CPU = time.Duration(n) }},
		{Key: "address_space", Default: "off", Unit: UnitSize, Over: "the program gets no more memory (of each process)", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.AddressSpace = n }},
		{Key: "open_files", Default: "off", Unit: UnitCount, Over: "the program opens no more (each process)", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.OpenFiles = int(n) }},
		{Key: "file_bytes", Default: "off", Unit: UnitSize, Over: "the program writes no more to that file", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.FileBytes = n }},
		{Key: "processes", Default: "off", Unit: UnitCount, Over: "the program starts no more (all processes of its user)", PerApp: true,
			number: func(l *Limits, n int64) { l.Programs.Processes = int(n) }},
		{Key: "body_read", Default: "60s", Unit: UnitDuration, Over: "408, or the answer is truncated",
			number: func(l *Limits, n int64) { l.Front.BodyRead = time.Duration(n) }},
		{Key: "write", Default: "60s", Unit: UnitDuration, Over: "the connection is closed",
			number: func(l *Limits, n int64) { l.Front.Write = time.Duration(n) }},
		{Key: "idle", Default: "75s", Unit: UnitDuration, Over: "the connection is closed",
			number: func(l *Limits, n int64) { l.Front.Idle = time.Duration(n) }},
		{Key: "grace", Default: "3s", Unit: UnitDuration, Over: "a program that ignored TERM gets KILL", PerApp: true, finite: true,
			number: func(l *Limits, n int64) { l.Programs.Grace = time.Duration(n) }},
		{Key: "drain", Default: "30s", Unit: UnitDuration, Over: "answers in flight are truncated",
			number: func(l *Limits, n int64) { l.Drain = time.Duration(n) }},
	}
}

// Set sets the limit in l to a value of a configuration: a number or a string.
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
		row.text(l, filepath.Clean(s))
		return nil
	}
	n, err := row.parse(value)
	if err != nil {
		return err
	}
	row.number(l, n)
	return nil
}

// parse returns the number that a value stands for, -1 for "off".
func (row Limit) parse(value any) (n int64, err error) {
	if value == "off" {
		if row.finite {
			return 0, fmt.Errorf("%q cannot be off: write %s", row.Key, row.Unit)
		}
		return -1, nil
	}
	switch row.Unit {
	case UnitCount:
		n, err = parseCount(value)
	case UnitSize:
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
