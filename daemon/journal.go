package daemon

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"gatehouse/internal/syslog"
	"gatehouse/systemd/journal"
)

// A journalWriter sends lines, which are JSON with their severity in front, as entries: MESSAGE
// is what LogText would show, without time and level; PRIORITY is the severity; and each
// attribute is a field, GATEHOUSE_ and its name. What is empty or null is left out.
type journalWriter struct {
	conn  *journal.Conn
	entry []byte
}

// Write implements io.Writer. It reports how much of p was sent.
func (w *journalWriter) Write(p []byte) (n int, err error) {
	for line := range bytes.Lines(p) {
		w.entry = appendEntry(w.entry[:0], bytes.TrimSuffix(line, newline))
		if err := w.conn.Send(w.entry); err != nil {
			return n, err
		}
		n += len(line)
	}
	return n, nil
}

func (w *journalWriter) Close() error { return w.conn.Close() }

func appendEntry(entry, line []byte) []byte {
	severity, text := syslog.CutSeverity(line, syslog.Info)
	entry = journal.AppendField(entry, "PRIORITY", []byte{byte('0' + severity)})
	entry = journal.AppendField(entry, "SYSLOG_IDENTIFIER", []byte("gatehouse"))
	var message strings.Builder
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return journal.AppendField(entry, "MESSAGE", text)
	}
	for d.More() {
		var raw json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&raw)
		}
		name, _ := key.(string)
		if err != nil {
			break
		}
		value := string(raw)
		if len(raw) > 0 && raw[0] == '"' {
			value = ""
			_ = json.Unmarshal(raw, &value)
		}
		switch {
		case name == "time", name == "level", value == "", value == "null":
		case name == "msg":
			message.WriteString(value)
		default:
			entry = journal.AppendField(entry, "GATEHOUSE_"+name, []byte(value))
			if name != "stack" { // whose lines would hide all else
				message.WriteString(" " + name + "=" + plainOrQuoted(value))
			}
		}
	}
	return journal.AppendField(entry, "MESSAGE", []byte(message.String()))
}

// plainOrQuoted quotes a value that is not one word.
func plainOrQuoted(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r == 0x7f || r == '\ufffd' }) {
		return strconv.Quote(s)
	}
	return s
}
