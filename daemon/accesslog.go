package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gatehouse/cgi"
)

// An accessLog writes one line for each request, in the common log format with
// the request's id, its time in seconds, and how it ended:
//
//	192.0.2.1 - alice [21/Nov/2026:08:00:00 +0000] "GET /x HTTP/1.1" 200 1234 id=17 time=0.004 end=complete
//
// The status is "-" if no header was sent. Quotes, backslashes and bytes other than
// printable ASCII are written as \xNN, so that no client can forge a line. Values are cut at
// 2 KiB.
type accessLog struct {
	mu   sync.Mutex // held for a whole line
	w    io.Writer
	line []byte
}

// checkAccessLog returns what is wrong with a value of access_log.
func checkAccessLog(s string) error {
	switch s {
	case "":
		return errors.New(`write "off", "stderr" or the path of a file`)
	case "off", "stderr":
		return nil
	}
	path, err := filepath.Abs(s)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return checkCreate(filepath.Dir(path))
	case info.IsDir():
		return fmt.Errorf("%s is a directory: write the path of a file", path)
	}
	if err := mayWrite(path); err != nil {
		return errAccessLog(path, err)
	}
	return nil
}

func errAccessLog(path string, err error) error {
	if r := readOnly(path, err); r != nil {
		return fmt.Errorf("%s cannot be written: %v", path, r)
	}
	return fmt.Errorf("%s cannot be written: %w: let %s write it, or write another path", path, bare(err), thisUser())
}

// openAccessLog returns the hook for cgi.Handler, nil for "off", and functions that open
// the file anew, and close it.
func openAccessLog(to string, stderr io.Writer, log *slog.Logger) (add func(*cgi.Request, cgi.Result), reopen, end func() error, err error) {
	none := func() error { return nil }
	switch to {
	case "", "off":
		return nil, none, none, nil
	case "stderr":
		l := &accessLog{w: stderr}
		return l.add, none, none, nil
	}
	if err := checkAccessLog(to); err != nil {
		return nil, nil, nil, fmt.Errorf("access log: %w", err)
	}
	f, err := openLogFile(to)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("access log: %w", errAccessLog(to, err))
	}
	w := newAccessWriter(f, log)
	l := &accessLog{w: w}
	reopen = func() error {
		err := checkAccessLog(to)
		if err == nil {
			if err = f.Reopen(); err != nil {
				err = errAccessLog(to, err)
			}
		}
		if err != nil {
			return fmt.Errorf("access log: %w", err)
		}
		return nil
	}
	return l.add, reopen, func() error { return errors.Join(w.Flush(), f.Close()) }, nil
}

// newAccessWriter returns a LogWriter that tells the other log of lines that are missing.
func newAccessWriter(to io.Writer, log *slog.Logger) *LogWriter {
	w := NewLogWriter(to)
	w.failed = func(err error) {
		log.Error("access log cannot be written: lines are lost until it can", "error", bare(err))
	}
	w.dropped = func(lines int) error {
		log.Warn("access log lines dropped: the file was full, or took nothing for a while", "lines", lines)
		return nil
	}
	return w
}

// add writes the line of a request.
func (l *accessLog) add(r *cgi.Request, res cgi.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = appendAccess(l.line[:0], r, res)
	l.w.Write(l.line)
}

func appendAccess(b []byte, r *cgi.Request, res cgi.Result) []byte {
	b = appendLogged(b, r.Env.Get("REMOTE_ADDR"), ' ')
	b = append(b, " - "...)
	b = appendLogged(b, r.Env.Get("REMOTE_USER"), ' ')
	b = append(b, " ["...)
	b = res.Start.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendLogged(b, r.Env.Get("REQUEST_METHOD"), ' ')
	b = append(b, ' ')
	b = appendLogged(b, r.Env.RequestTarget(), '"')
	b = append(b, ' ')
	b = appendLogged(b, r.Env.Get("SERVER_PROTOCOL"), ' ')
	b = append(b, `" `...)
	if res.Code == 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendInt(b, int64(res.Code), 10)
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, res.Bytes, 10)
	b = append(b, " id="...)
	b = strconv.AppendUint(b, r.ID, 10)
	b = append(b, " time="...)
	b = strconv.AppendFloat(b, float64(res.Duration/time.Microsecond)/1e6, 'f', 6, 64)
	b = append(b, " end="...)
	b = append(b, res.End.String()...)
	return append(b, '\n')
}

// appendLogged appends a value from a client, "-" if it is empty. The byte end, which
// ends the value, is escaped, too.
func appendLogged(b []byte, s string, end byte) []byte {
	if s == "" {
		return append(b, '-')
	}
	cut := len(s) > maxLogged
	if cut {
		s = s[:maxLogged]
	}
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == end {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}
