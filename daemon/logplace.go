package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"gatehouse/internal/syslog"
	"gatehouse/systemd/journal"
)

// Where a log goes is "stderr", "syslog" with what follows it, or the path of a file.

func isSyslog(place string) bool { return place == "syslog" || strings.HasPrefix(place, "syslog:") }

// samePlace reports whether what is written to both would mix.
func samePlace(a, b string) bool {
	if filepath.IsAbs(a) && filepath.IsAbs(b) {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return a == b
}

// checkLogPlace returns what is wrong with a place, as a value of log.
func checkLogPlace(s string) error {
	switch {
	case s == "":
		return errors.New(`write "stderr", "syslog" or the path of a file`)
	case s == "off":
		return errors.New(`the log cannot be turned off: write "stderr", "syslog" or the path of a file`)
	}
	return checkPlace(s)
}

// checkAccessLog returns what is wrong with a value of access_log.
func checkAccessLog(s string) error {
	switch s {
	case "":
		return errors.New(`write "off", "stderr", "syslog" or the path of a file`)
	case "off":
		return nil
	}
	return checkPlace(s)
}

func checkPlace(s string) error {
	if s == "stderr" {
		return nil
	}
	if isSyslog(s) {
		t, err := syslog.Parse(s)
		if err == nil && t.Network == "unixgram" {
			err = checkSyslogSocket(t.Address)
		}
		return err
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
		return errWriteLog(path, err)
	}
	return nil
}

// checkAbsolutePlace returns an error if a place is a path that is not absolute.
func checkAbsolutePlace(s string) error {
	switch {
	case s == "", s == "off", s == "stderr", isSyslog(s):
		return nil
	}
	return checkAbsolute(s)
}

func checkSyslogSocket(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w: there is no syslog server: install one, such as rsyslog, or write the path of a file", path, bare(err))
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is not a socket: write that of a syslog server", path)
	}
	return nil
}

func errWriteLog(path string, err error) error {
	if r := readOnly(path, err); r != nil {
		return fmt.Errorf("%s cannot be written: %v", path, r)
	}
	return fmt.Errorf("%s cannot be written: %w: let %s write it, or write another path", path, bare(err), thisUser())
}

// checkLogs returns what is wrong with the keys of the logs, one by one and together.
func (c *Config) checkLogs() error {
	var errs []error
	add := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	log := c.logPlace()
	add("log", checkLogPlace(log))
	if c.AccessLog != "" {
		add("access log", checkAccessLog(c.AccessLog))
	}
	if c.AccessLogFormat != "" {
		add("access_log_format", checkAccessFormat(c.AccessLogFormat))
	}
	switch {
	case c.LogFormat == LogJournal && log != "stderr":
		add("log_format", fmt.Errorf("the journal takes the place of standard error, and log is %q: remove log, or write log_format = \"json\" or \"text\"", log))
	case c.LogFormat == LogJournal && runtime.GOOS != "linux":
		add("log_format", errors.New(`there is no journal on this system: write "json" or "text"`))
	}
	if samePlace(c.AccessLog, log) && c.AccessLogFormat != "" && (c.AccessLogFormat != "json" || c.LogFormat != LogJSON) {
		add("access_log_format", fmt.Errorf("requests are logged where the log goes (%s), and have its form there: remove access_log_format, or write the path of a file for access_log", log))
	}
	if c.AccessLogFormat != "" && (c.AccessLog == "" || c.AccessLog == "off") {
		add("access_log_format", errors.New(`no requests are logged: write access_log, or remove access_log_format`))
	}
	return errors.Join(errs...)
}

// checkJournal returns why the journal cannot be written, if it is to be.
func (c *Config) checkJournal() error {
	if c.LogFormat != LogJournal || runtime.GOOS != "linux" {
		return nil
	}
	conn, err := journal.Dial(journal.Socket)
	if err != nil {
		return errJournal(journal.Socket, err)
	}
	return conn.Close()
}

func errJournal(path string, err error) error {
	return fmt.Errorf("log_format: journald cannot be reached at %s: %w: write \"json\" or \"text\"", path, bareNet(err))
}

// logPlace returns where the log goes.
func (c *Config) logPlace() string {
	if c.Log == "" {
		return "stderr"
	}
	return c.Log
}

// bareNet returns err without the addresses, for messages that name them already.
func bareNet(err error) error {
	var e interface{ Unwrap() error }
	for errors.As(err, &e) {
		inner := e.Unwrap()
		if inner == nil {
			break
		}
		err = inner
	}
	return err
}

// openPlace opens a place other than standard error.
func openPlace(place string) (to io.WriteCloser, err error) {
	if err := checkPlace(place); err != nil {
		return nil, err
	}
	if isSyslog(place) {
		t, err := syslog.Parse(place)
		if err != nil {
			return nil, err
		}
		w, err := syslog.Open(t)
		if err != nil {
			return nil, fmt.Errorf("the syslog server at %s cannot be reached: %w", t.Address, bareNet(err))
		}
		return w, nil
	}
	f, err := openLogFile(place)
	if err != nil {
		return nil, errWriteLog(place, err)
	}
	return f, nil
}
