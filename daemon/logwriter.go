package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	logHeld  = 1 << 20          // bytes that a LogWriter holds
	logSpare = 64 << 10         // of a buffer that it keeps
	logWrite = 4 << 10          // of one write(2), unless a line is longer, so that slow readers show
	logStall = 2 * time.Second  // of one write(2), after which nobody waits for it
	logWait  = 10 * time.Second // for room, of all together, and of Flush
)

// A LogWriter writes log lines, each passed to one call of Write, so that whoever logs does
// not depend on the reader of a pipe or on a disk. Lines are kept in their order, and those
// that have come meanwhile are written together.
//
// It holds up to 1 MiB. If that is full, Write waits for room, so that a burst of lines loses
// nothing to a slow reader. Nobody waits once a single write has taken two seconds, nor ten
// seconds after it was full, until it is half empty again. Lines without room are dropped and
// counted. Their number is logged in their place, and so is that of lines which could not be
// written. This holds for files as well as for pipes and terminals.
//
// It has a goroutine only while there is something to write.
type LogWriter struct {
	w    io.Writer
	lost atomic.Uint64

	mu       sync.Mutex
	failed   func(error)           // if not nil, called for the first of the writes that fail in a row
	dropped  func(lines int) error // logs the number of lines that are missing
	pending  []byte                // whole lines that no write has begun with
	held     int                   // bytes that are not written yet
	full     time.Time             // when there was no room for more; zero once it is half empty
	missing  int                   // lines that were dropped or failed to be written, and were not reported
	failing  bool                  // the last write failed
	spare    []byte                // the next pending
	running  bool                  // the goroutine runs
	began    time.Time             // of the write under way; zero if none is
	progress chan struct{}         // closed when a write ends; nil unless somebody waits
}

// NewLogWriter returns a LogWriter that writes to w, and logs there how many lines are
// missing.
func NewLogWriter(w io.Writer) *LogWriter {
	l := &LogWriter{w: w}
	l.reportTo(LogAuto.on(w).handler(w, false))
	return l
}

// reportTo has the number of missing lines be written by a handler, which must write to what the
// LogWriter writes to.
func (l *LogWriter) reportTo(direct slog.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = func(lines int) error {
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped: what they are written to was full, or failed", 0)
		r.Add("lines", lines)
		return direct.Handle(context.Background(), r)
	}
}

// complainTo has the log be told that an access log cannot be written, and how many lines are
// missing.
func (l *LogWriter) complainTo(log *slog.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = func(err error) {
		log.Error("access log cannot be written: lines are lost until it can", "error", bareNet(bare(err)))
	}
	l.dropped = func(lines int) error {
		log.Warn("access log lines dropped: the file was full, or took nothing for a while", "lines", lines)
		return nil
	}
}

// Lost returns how many lines were dropped or could not be written so far. They are reported in
// the log as well.
func (l *LogWriter) Lost() uint64 { return l.lost.Load() }

// miss counts lines that are missing. mu is held.
func (l *LogWriter) miss(p []byte) {
	n := max(1, bytes.Count(p, newline))
	l.missing += n
	l.lost.Add(uint64(n))
}

// Write implements io.Writer. It never fails.
func (l *LogWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.held > 0 && l.held+len(p) > logHeld {
		if l.full.IsZero() {
			l.full = time.Now()
		}
		if !l.wait(l.full.Add(logWait)) {
			l.miss(p)
			return len(p), nil
		}
	}
	l.pending = append(l.pending, p...)
	l.held += len(p)
	l.start()
	return len(p), nil
}

var newline = []byte("\n")

// start starts the goroutine unless it runs. mu is held.
func (l *LogWriter) start() {
	if !l.running {
		l.running = true
		go l.run()
	}
}

// wait waits until a write ends. It returns false at that time, or if the write takes longer
// than logStall. mu is held, but not while it waits.
func (l *LogWriter) wait(until time.Time) bool {
	left := logStall
	if !l.began.IsZero() {
		left -= time.Since(l.began)
	}
	left = min(left, time.Until(until))
	if left <= 0 {
		return false
	}
	if l.progress == nil {
		l.progress = make(chan struct{})
	}
	progress := l.progress
	l.mu.Unlock()
	defer l.mu.Lock()
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-progress:
		return true
	case <-t.C:
		return false
	}
}

// Flush waits until everything is written, but not for more than ten seconds, nor once a single
// write has taken two. The error says that something is left then.
func (l *LogWriter) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := time.Now().Add(logWait)
	for l.running {
		if !l.wait(until) {
			return errors.New("log lines are lost: what they are written to takes nothing")
		}
	}
	return nil
}

// run writes what is pending until nothing is.
func (l *LogWriter) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) > 0 || l.missing > 0 && !l.failing {
		batch, missing := l.pending, l.missing // which are missing after batch
		l.pending, l.missing = l.spare, 0
		for rest := batch; len(rest) > 0; {
			n := wholeLines(rest)
			l.write(rest[:n])
			rest = rest[n:]
		}
		if missing > 0 && (l.failing || !l.report(missing)) {
			l.missing += missing
		}
		if l.spare = batch[:0]; cap(batch) > logSpare {
			l.spare = nil
		}
	}
	l.running = false
	l.moved()
}

// wholeLines returns the length of the lines at the beginning of p that fit in one write, or
// that of the first line.
func wholeLines(p []byte) int {
	if len(p) <= logWrite {
		return len(p)
	}
	if i := bytes.LastIndexByte(p[:logWrite], '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

// write writes whole lines. mu is held, but not while it writes.
func (l *LogWriter) write(p []byte) {
	l.began = time.Now()
	failed := l.failed
	l.mu.Unlock()
	n, err := l.w.Write(p)
	if err != nil && !l.failing && failed != nil { // only this goroutine changes failing
		failed(err)
	}
	l.mu.Lock()
	l.began = time.Time{}
	if l.held -= len(p); l.held <= logHeld/2 {
		l.full = time.Time{}
	}
	if l.failing = err != nil; l.failing {
		l.miss(p[min(n, len(p)):])
	}
	l.moved()
}

// report reports how many lines are missing, and whether that could be written. mu is held,
// but not meanwhile.
func (l *LogWriter) report(missing int) bool {
	l.began = time.Now()
	dropped := l.dropped
	l.mu.Unlock()
	err := dropped(missing)
	l.mu.Lock()
	l.began = time.Time{}
	l.failing = err != nil
	return err == nil
}

// moved wakes those who wait. mu is held.
func (l *LogWriter) moved() {
	if l.progress != nil {
		close(l.progress)
		l.progress = nil
	}
}
