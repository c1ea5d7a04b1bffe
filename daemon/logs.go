package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"gatehouse/cgi"
	"gatehouse/systemd/journal"
)

// logs are those of a daemon: the log, and the access logs of its generations. Two that go to
// one place share a stream, so that their lines are whole and of one form.
type logs struct {
	stderr  io.Writer
	journal string // the socket of the journal
	given   bool   // the log is somebody else's, and only its requests are logged here
	log     *slog.Logger
	handler atomic.Pointer[slog.Handler] // of log, unless it is given

	mu      sync.Mutex
	current *logStream // of log; nil if that is given, or before the first configuration
	streams []*logStream
	ended   lostLines // of streams that are closed
}

// lostLines count lines that could not be written.
type lostLines struct{ log, access uint64 }

// A logStream is a place that lines are written to.
type logStream struct {
	place  string
	severe bool // lines of the log begin with their severity
	log    bool // it is the log's, and perhaps that of an access log as well; guarded by logs.mu
	users  int  // likewise

	// settled is how many of the lost lines logs.ended has; guarded by logs.mu.
	settled uint64

	to     io.Writer
	writer *LogWriter // that is to, or nil: standard error may be anything
	target io.Closer  // nil for standard error

	format atomic.Pointer[accessFormat]
	mu     sync.Mutex // held for a whole line of the access log
	line   []byte
	result cgi.Result // of the line, here so that it need not be allocated
}

// newLogs returns the logs of a daemon. Until a configuration says otherwise, the log goes to
// standard error.
func newLogs(env Environment) *logs {
	l := &logs{stderr: env.Stderr, journal: cmp.Or(env.journal, journal.Socket), given: env.Log != nil, log: env.Log}
	if !l.given {
		l.handle(LogAuto.on(l.stderr).handler(l.stderr, false))
		l.log = slog.New(&logSwitch{to: &l.handler})
	}
	return l
}

func (l *logs) handle(h slog.Handler) { l.handler.Store(&h) }

// A logSetup is what a configuration has opened of the logs.
type logSetup struct {
	logs         *logs
	log          *logStream // nil if the log is given, and after begin
	form         LogFormat  // of the log
	access       *logStream // nil for none
	accessFormat *accessFormat
}

// open opens the logs of a configuration, and changes nothing yet. The caller must call begin
// or close.
func (l *logs) open(c *Config) (s *logSetup, err error) {
	s = &logSetup{logs: l}
	place, form := c.logPlace(), c.LogFormat
	if !l.given {
		if s.log, err = l.acquire(place, form == LogJournal, true); err != nil {
			return nil, err
		}
		form = form.on(s.log.to)
		s.form = form
	}
	if c.AccessLog == "" || c.AccessLog == "off" {
		return s, nil
	}
	format := cmp.Or(c.AccessLogFormat, "common")
	shared := !l.given && samePlace(c.AccessLog, place)
	switch {
	case shared && form == LogText:
		format = recordText
	case shared:
		format = recordJSON
	}
	if s.accessFormat, err = parseAccessFormat(format); err == nil {
		s.access, err = l.acquire(c.AccessLog, shared && form == LogJournal, false)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if shared && s.access.severe {
		s.accessFormat.parts[0].before = "<6>" + s.accessFormat.parts[0].before
	}
	return s, nil
}

// begin has the logs be written as the configuration says.
func (s *logSetup) begin() {
	if s.access != nil {
		s.access.format.Store(s.accessFormat)
	}
	if s.log == nil {
		return
	}
	l := s.logs
	l.handle(s.form.handler(s.log.to, s.log.severe))
	if w := s.log.writer; w != nil {
		w.reportTo(s.form.handler(w.w, s.log.severe))
	}
	if s.access != nil && s.access != s.log && s.access.writer != nil {
		s.access.writer.complainTo(l.log)
	}
	l.mu.Lock()
	old := l.current
	l.current, s.log = s.log, nil
	l.mu.Unlock()
	_ = l.release(old)
}

// accessLog returns the hook for cgi.Handler, or nil.
func (s *logSetup) accessLog() func(*cgi.Request, cgi.Result) {
	if s.access == nil {
		return nil
	}
	s.access.format.CompareAndSwap(nil, s.accessFormat)
	return s.access.add
}

// close releases what was opened, but for the log that is written by now.
func (s *logSetup) close() error {
	err := errors.Join(s.logs.release(s.access), s.logs.release(s.log))
	s.access, s.log = nil, nil
	return err
}

// acquire returns the stream to a place, which it opens unless it is open.
func (l *logs) acquire(place string, journald, log bool) (*logStream, error) {
	if journald {
		place = "journald"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.streams {
		if samePlace(s.place, place) {
			if log && !s.log {
				s.settle(&l.ended) // as the access log's
				s.log = true
			}
			s.users++
			return s, nil
		}
	}
	s := &logStream{place: place, users: 1, log: log, severe: journald || isSyslog(place)}
	if place == "stderr" {
		s.to = l.stderr
		if s.writer, _ = l.stderr.(*LogWriter); s.writer != nil {
			s.settled = s.writer.Lost() // a stream before has counted it
		}
	} else {
		to, err := l.openTarget(place)
		if err != nil {
			if !log && !journald {
				err = fmt.Errorf("access log: %w", err)
			} else if !journald {
				err = fmt.Errorf("log: %w", err)
			}
			return nil, err
		}
		s.target, s.writer = to, NewLogWriter(to)
		s.to = s.writer
	}
	switch {
	case s.writer == nil:
	case !log:
		s.writer.complainTo(l.log)
	case place != "stderr":
		s.writer.failed = l.tellStderr(place) // nothing is written yet
	}
	l.streams = append(l.streams, s)
	return s, nil
}

func (l *logs) openTarget(place string) (io.WriteCloser, error) {
	if place != "journald" {
		return openPlace(place)
	}
	conn, err := journal.Dial(l.journal)
	if err != nil {
		return nil, errJournal(l.journal, err)
	}
	return &journalWriter{conn: conn}, nil
}

// tellStderr returns a function that tells standard error of a log that cannot be written, as
// nobody else can.
func (l *logs) tellStderr(place string) func(error) {
	return func(err error) {
		NewLog(l.stderr).Error("the log cannot be written: lines are lost until it can", "log", place, "error", bare(err))
	}
}

// release gives a stream back, and closes it after its last user.
func (l *logs) release(s *logStream) error {
	if s == nil {
		return nil
	}
	l.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		s.settle(&l.ended)
		l.streams = slices.DeleteFunc(l.streams, func(other *logStream) bool { return other == s })
	}
	l.mu.Unlock()
	if !last || s.target == nil { // standard error goes on, and is flushed at the end of the process
		return nil
	}
	err := s.writer.Flush()
	l.mu.Lock()
	s.settle(&l.ended)
	l.mu.Unlock()
	return errors.Join(err, s.target.Close())
}

// count adds the lines that a stream has lost and that are not settled, and returns how many
// it has lost in all.
func (s *logStream) count(n *lostLines) (all uint64) {
	if s.writer == nil {
		return 0
	}
	all = s.writer.Lost()
	if s.log {
		n.log += all - s.settled
	} else {
		n.access += all - s.settled
	}
	return all
}

// settle adds those lines for good: count does not, from then on. logs.mu is held.
func (s *logStream) settle(n *lostLines) { s.settled = s.count(n) }

// lost returns how many lines could not be written so far.
func (l *logs) lost() lostLines {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.ended
	for _, s := range l.streams {
		s.count(&n)
	}
	return n
}

// reopen opens the files of all logs anew. The error has a line for each that stays.
func (l *logs) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.streams {
		f, ok := s.target.(*logFile)
		if !ok {
			continue
		}
		err := checkPlace(s.place)
		if err == nil {
			if err = f.Reopen(); err != nil {
				err = errWriteLog(s.place, err)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name(), err))
		}
	}
	return errors.Join(errs...)
}

func (s *logStream) name() string {
	if s.log {
		return "log"
	}
	return "access log"
}

// end logs the error with which the daemon ends, unless the log goes to standard error: there,
// the command prints it.
func (l *logs) end(err error) {
	l.mu.Lock()
	elsewhere := l.current != nil && l.current.place != "stderr"
	l.mu.Unlock()
	if err != nil && elsewhere {
		l.log.Error("gatehouse ends", "error", err)
	}
}

// close ends the log, which goes to standard error from then on.
func (l *logs) close() error {
	if l.given {
		return nil
	}
	l.handle(LogAuto.on(l.stderr).handler(l.stderr, false))
	l.mu.Lock()
	s := l.current
	l.current = nil
	l.mu.Unlock()
	return l.release(s)
}

// add writes the line of a request.
func (s *logStream) add(r *cgi.Request, res cgi.Result) {
	format := s.format.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result = res
	s.line = append(format.append(s.line[:0], r, &s.result), '\n')
	s.result = cgi.Result{}
	s.to.Write(s.line)
}
