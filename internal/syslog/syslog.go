// Package syslog sends lines of a log to a syslog server, each as a message of RFC 3164, which
// every server reads: rsyslog, syslog-ng, and journald at /dev/log.
package syslog

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/datagram"
)

// Severity is how grave a message is (RFC 3164 § 4.1.1).
type Severity int

const (
	Error   Severity = 3
	Warning Severity = 4
	Info    Severity = 6
	Debug   Severity = 7
)

var severities = []string{"emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"}

// facilities are in the order of their numbers.
var facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

// A Target says where messages go, and with what. Its form is nginx's.
type Target struct {
	Network, Address string // of a datagram socket
	Facility         int
	Severity         Severity // of lines that say none
	Tag              string
	NoHostname       bool // leave the name of this machine out, as /dev/log has it
}

// localSocket is where programs reach the syslog server of the machine.
const localSocket = "/dev/log"

// Parse parses "syslog", which is the server of this machine, or
// "syslog:server=ADDRESS[,facility=NAME][,severity=NAME][,tag=NAME][,nohostname]". ADDRESS is
// unix:PATH, or HOST[:PORT] for UDP, with port 514 by default. The standard facility is daemon,
// the severity info, the tag gatehouse.
func Parse(s string) (*Target, error) {
	t := &Target{Network: "unixgram", Address: localSocket, Facility: slices.Index(facilities, "daemon"), Severity: Info, Tag: "gatehouse", NoHostname: true}
	options, given := strings.CutPrefix(s, "syslog:")
	if !given && s != "syslog" {
		return nil, fmt.Errorf("%q does not begin with syslog", s)
	}
	if !given {
		return t, t.check()
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "server":
			err = t.setServer(value)
		case "facility":
			if t.Facility = slices.Index(facilities, value); t.Facility < 0 {
				err = fmt.Errorf("%q is not one of %s", value, strings.Join(facilities, ", "))
			}
		case "severity":
			if t.Severity = Severity(slices.Index(severities, value)); t.Severity < 0 {
				err = fmt.Errorf("%q is not one of %s", value, strings.Join(severities, ", "))
			}
		case "tag":
			t.Tag = value
			if !validTag(value) {
				err = fmt.Errorf("%q is not 1 to 32 letters, digits, hyphens and underscores", value)
			}
		case "nohostname":
			t.NoHostname = true
		default:
			err = errors.New("unknown: there are server, facility, severity, tag and nohostname")
		}
		if err != nil {
			return nil, fmt.Errorf("syslog: %s: %w", name, err)
		}
	}
	return t, t.check()
}

func (t *Target) check() error {
	if t.Network == "unixgram" && runtime.GOOS == "windows" {
		return errors.New("syslog: Windows has no syslog of its own: write that of another machine, as in syslog:server=192.0.2.1")
	}
	return nil
}

func (t *Target) setServer(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		t.Network, t.Address, t.NoHostname = "unixgram", path, true
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q is not an absolute path", path)
		}
		return nil
	}
	t.Network, t.NoHostname = "udp", false
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "514"
	}
	if n, err := strconv.ParseUint(port, 10, 16); host == "" || n == 0 || err != nil {
		return fmt.Errorf("%q is neither unix:PATH nor HOST[:PORT]", s)
	}
	t.Address = net.JoinHostPort(host, port)
	return nil
}

func validTag(s string) bool {
	return len(s) > 0 && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// A Writer sends whole lines.
type Writer struct {
	target  *Target
	socket  datagram.Socket
	host    string
	message []byte
}

// Open connects to the server. Over UDP that does not show whether there is one.
func Open(t *Target) (*Writer, error) {
	w := &Writer{target: t, socket: datagram.Socket{Network: t.Network, Address: t.Address}}
	if !t.NoHostname {
		name, _ := os.Hostname()
		name, _, _ = strings.Cut(name, ".") // § 4.1.2: without the domain
		w.host = cmp.Or(name, "-") + " "
	}
	if err := w.socket.Dial(); err != nil {
		return nil, err
	}
	return w, nil
}

// Write implements io.Writer. p is lines, each of which may begin with its severity, "<N>". It
// reports how much of p was sent.
func (w *Writer) Write(p []byte) (n int, err error) {
	for line := range bytes.Lines(p) {
		severity, text := CutSeverity(bytes.TrimSuffix(line, []byte("\n")), w.target.Severity)
		b := append(w.message[:0], '<')
		b = strconv.AppendInt(b, int64(w.target.Facility*8+int(severity)), 10)
		b = append(b, '>')
		b = time.Now().AppendFormat(b, time.Stamp)
		b = append(b, ' ')
		b = append(b, w.host...)
		b = append(b, w.target.Tag...)
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(os.Getpid()), 10)
		b = append(b, "]: "...)
		w.message = append(b, text...)
		if err := w.socket.Send(w.message); err != nil {
			return n, err
		}
		n += len(line)
	}
	return n, nil
}

// Close closes the connection.
func (w *Writer) Close() error { return w.socket.Close() }

// CutSeverity cuts "<N>" off the beginning of a line, as systemd understands it on standard
// error (sd-daemon(3)).
func CutSeverity(line []byte, standard Severity) (Severity, []byte) {
	if len(line) >= 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>' {
		return Severity(line[1] - '0'), line[3:]
	}
	return standard, line
}
