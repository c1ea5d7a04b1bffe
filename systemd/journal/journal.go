// Package journal sends entries with fields to systemd's journal, in its native protocol
// (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).
package journal

import (
	"bytes"
	"encoding/binary"

	"gatehouse/internal/datagram"
)

// Socket is where the journal takes entries.
const Socket = "/run/systemd/journal/socket"

// A Conn sends entries. It may be used by one goroutine at a time.
type Conn struct{ socket datagram.Socket }

// Dial connects to the journal at path, which is usually [Socket].
func Dial(path string) (*Conn, error) {
	c := &Conn{datagram.Socket{Network: "unixgram", Address: path}}
	if err := c.socket.Dial(); err != nil {
		return nil, err
	}
	return c, nil
}

// Send sends an entry, to which [AppendField] has added its fields. If the journal takes nothing
// for a second, the entry is lost; so is one longer than a datagram may be, which is some
// 200 KiB. Send connects again if the journal was restarted.
func (c *Conn) Send(entry []byte) error { return c.socket.Send(entry) }

// Close closes the connection.
func (c *Conn) Close() error { return c.socket.Close() }

// AppendField appends a field to an entry. The value may be any bytes. Of the name, which has up
// to 64 characters, all but letters, digits and underscores become underscores, and what the
// journal would drop is preceded by an X.
func AppendField(entry []byte, name string, value []byte) []byte {
	entry = appendName(entry, name)
	if bytes.IndexByte(value, '\n') < 0 {
		entry = append(entry, '=')
		entry = append(entry, value...)
		return append(entry, '\n')
	}
	entry = append(entry, '\n')
	entry = binary.LittleEndian.AppendUint64(entry, uint64(len(value)))
	entry = append(entry, value...)
	return append(entry, '\n')
}

const maxName = 64

func appendName(entry []byte, name string) []byte {
	start := len(entry)
	for i := 0; i < len(name) && len(entry)-start < maxName; i++ {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		default:
			c = '_'
		}
		if len(entry) == start && (c == '_' || c <= '9') { // the journal keeps such names for itself, or takes none
			entry = append(entry, 'X')
		}
		entry = append(entry, c)
	}
	if len(entry) == start {
		entry = append(entry, 'X')
	}
	return entry
}
