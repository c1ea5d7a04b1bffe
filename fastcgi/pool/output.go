package pool

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/cgi/process"
)

const (
	outputRead  = 4 << 10
	outputLine  = 2 << 10 // a longer line is logged in parts
	outputFirst = 512     // bytes that are kept from the beginning
	outputLast  = 200     // bytes that are kept of the last line
)

// An output takes what a process writes to its stdout or stderr to the log, line by line, and
// Limits.StderrBytes of it a minute.
type output struct {
	worker  *worker
	from    *process.Output
	message string
	first   []byte        // of what was written; for whoever has seen done
	last    []byte        // the beginning of the last line that is not blank; likewise
	done    chan struct{} // closed at the end

	line    []byte
	parted  bool // line follows a part of it
	minute  time.Time
	logged  int // since then
	dropped int
}

// log returns when the process has ended and nothing is left.
func (o *output) log() {
	defer close(o.done)
	defer o.from.Close()
	buf := make([]byte, outputRead)
	for {
		n, err := o.from.Read(buf)
		o.first = append(o.first, buf[:min(n, outputFirst-len(o.first))]...)
		o.take(buf[:n])
		if err != nil {
			o.flush()
			o.sum()
			return
		}
	}
}

func (o *output) take(p []byte) {
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(p)
		}
		if room := outputLine - len(o.line); n > room {
			n, whole = room, true
		}
		o.line = append(o.line, p[:n]...)
		p = p[n:]
		if whole {
			parted := o.line[len(o.line)-1] != '\n'
			o.flush()
			o.parted = parted
		}
	}
}

// flush logs the line.
func (o *output) flush() {
	line := bytes.TrimRight(o.line, "\r\n")
	o.line = o.line[:0]
	if len(line) == 0 {
		return
	}
	if !o.parted && len(bytes.TrimSpace(line)) > 0 {
		o.last = append(o.last[:0], line[:min(len(line), outputLast)]...)
		if len(line) > outputLast {
			o.last = append(o.last, "..."...)
		}
	}
	if now := time.Now(); now.Sub(o.minute) >= time.Minute {
		o.sum()
		o.minute, o.logged = now, 0
	}
	if o.logged+len(line) > o.worker.pool.limits.StderrBytes {
		o.dropped += len(line)
		return
	}
	o.logged += len(line)
	if r := o.worker.pool.sandbox().Said(string(line)); r != nil {
		o.write(o.message, slog.String("line", string(line)), slog.String("sandbox", r.String()))
		return
	}
	o.write(o.message, slog.String("line", string(line)))
}

// lastLine returns the last line, as it can be a part of a message. It is for whoever has seen done.
func (o *output) lastLine() string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return ' '
	}, string(o.last)))
}

// sum logs how much was not logged.
func (o *output) sum() {
	if o.dropped > 0 {
		o.write(o.message+" suppressed", slog.Int("bytes", o.dropped), slog.Int("limit", o.worker.pool.limits.StderrBytes))
		o.dropped = 0
	}
}

func (o *output) write(message string, attr slog.Attr, more ...slog.Attr) {
	attrs := append([]slog.Attr{slog.String("process", o.worker.name), attr}, more...)
	o.worker.pool.log.LogAttrs(context.Background(), slog.LevelWarn, message, attrs...)
}
