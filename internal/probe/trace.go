package probe

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"gatehouse/fastcgi/record"
	"gatehouse/scgi"
)

const (
	maxDump = 256     // bytes of a record that are shown
	maxHead = 1 << 20 // bytes of a head, a netstring or variables that are kept to be shown as a whole
)

// A trace writes what passes a connection. Lines about what is sent begin with ">", those
// about what comes with "<".
type trace struct {
	mu  sync.Mutex
	out io.Writer
	to  decoder // what is sent
	by  decoder // what comes
}

// A decoder shows the bytes of one direction.
type decoder interface {
	// decode takes the next bytes, and returns the lines about what is complete.
	decode(b []byte) string
	// end returns the lines about the rest.
	end() string
}

func newTrace(out io.Writer, p Protocol) *trace {
	switch p {
	case FastCGI:
		return &trace{out: out, to: &records{}, by: &records{}}
	case SCGI:
		return &trace{out: out, to: &netstring{}, by: &head{}}
	}
	return &trace{out: out, to: &head{}, by: &head{}}
}

func (t *trace) sent(b []byte)     { t.show("> ", t.to.decode, b) }
func (t *trace) received(b []byte) { t.show("< ", t.by.decode, b) }

func (t *trace) show(mark string, decode func([]byte) string, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print(mark, decode(b))
}

func (t *trace) print(mark, text string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(mark + line)
	}
	io.WriteString(t.out, b.String())
}

// end shows what has not been shown.
func (t *trace) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.print("> ", t.to.end())
	t.print("< ", t.by.end())
}

// records decodes FastCGI.
type records struct {
	held    []byte // of the next record
	pairs   []byte // of a name-value pair that goes on in the next record
	foreign bool   // it is not FastCGI
}

func (r *records) decode(b []byte) string {
	if r.foreign {
		return ""
	}
	var out strings.Builder
	r.held = append(r.held, b...)
	before := len(r.held)
	for len(r.held) >= record.HeaderLen {
		h := record.Header(r.held)
		if h.Version() != record.Version1 {
			fmt.Fprintf(&out, "no record: its version is %d\n%s", h.Version(), dump(r.held))
			r.foreign = true
			return out.String()
		}
		n := record.HeaderLen + h.ContentLength() + h.PaddingLength()
		if len(r.held) < n {
			break
		}
		r.show(&out, h, r.held[:n])
		r.held = r.held[n:]
	}
	if len(r.held) < before {
		r.held = bytes.Clone(r.held)
	}
	return out.String()
}

// show shows a record.
func (r *records) show(out *strings.Builder, h record.Header, whole []byte) {
	content := whole[record.HeaderLen : record.HeaderLen+h.ContentLength()]
	fmt.Fprintf(out, "%v, id %d, %d bytes", h.Type(), h.ID(), len(content))
	if n := h.PaddingLength(); n > 0 {
		fmt.Fprintf(out, " and %d of padding", n)
	}
	var detail string
	switch h.Type() {
	case record.BeginRequest:
		if begin, err := record.ParseBegin(content); err == nil {
			detail = fmt.Sprintf(": %v, flags %d", begin.Role, begin.Flags)
		}
	case record.EndRequest:
		if end, err := record.ParseEnd(content); err == nil {
			detail = fmt.Sprintf(": %v, status %d", end.ProtocolStatus, end.AppStatus)
		}
	case record.Params, record.Stdin, record.Stdout, record.Stderr, record.Data:
		if len(content) == 0 {
			detail = ": end of the stream"
		}
	}
	out.WriteString(detail + "\n")
	switch h.Type() {
	case record.Params, record.GetValues, record.GetValuesResult:
		r.pairs = append(r.pairs, content...)
		for len(r.pairs) > 0 && len(r.pairs) <= maxHead {
			name, value, rest, err := record.NextPair(r.pairs)
			if err != nil {
				break
			}
			out.WriteString(variable(name, value))
			r.pairs = rest
		}
	}
	out.WriteString(dump(whole))
}

func (r *records) end() string {
	if len(r.held) == 0 || r.foreign {
		return ""
	}
	return fmt.Sprintf("a record breaks off after %d bytes\n%s", len(r.held), dump(r.held))
}

// netstring decodes an SCGI request.
type netstring struct {
	held []byte
	done bool
	body int64
}

func (n *netstring) decode(b []byte) string {
	if n.done {
		n.body += int64(len(b))
		return ""
	}
	n.held = append(n.held, b...)
	data, rest, err := scgi.ParseNetstring(n.held, maxHead)
	if err != nil {
		return ""
	}
	n.done, n.body = true, int64(len(rest))
	var out strings.Builder
	fmt.Fprintf(&out, "netstring, %d bytes\n", len(data))
	for len(data) > 0 {
		name, more, _ := bytes.Cut(data, []byte{0})
		value, more, _ := bytes.Cut(more, []byte{0})
		out.WriteString(variable(name, value))
		data = more
	}
	return out.String()
}

func (n *netstring) end() string {
	if !n.done {
		return fmt.Sprintf("the netstring breaks off after %d bytes\n", len(n.held))
	}
	return fmt.Sprintf("body, %d bytes\n", n.body)
}

// head decodes a head of HTTP or CGI.
type head struct {
	held []byte
	done bool
	body int64
}

func (h *head) decode(b []byte) string {
	if h.done {
		h.body += int64(len(b))
		return ""
	}
	h.held = append(h.held, b...)
	end := -1
	for _, blank := range []string{"\n\n", "\n\r\n"} {
		if i := bytes.Index(h.held, []byte(blank)); i >= 0 && (end < 0 || i+len(blank) < end) {
			end = i + len(blank)
		}
	}
	if end < 0 && len(h.held) <= maxHead {
		return ""
	}
	return h.finish(max(end, 0))
}

// finish returns the lines of the head, which has end bytes.
func (h *head) finish(end int) string {
	var out strings.Builder
	for line := range strings.Lines(string(h.held[:end])) {
		out.WriteString(plain(strings.TrimRight(line, "\r\n")) + "\n")
	}
	h.done, h.body, h.held = true, int64(len(h.held)-end), nil
	return out.String()
}

func (h *head) end() string {
	switch {
	case h.done:
		return fmt.Sprintf("body, %d bytes\n", h.body)
	case len(h.held) == 0:
		return ""
	}
	return fmt.Sprintf("the head breaks off after %d bytes\n%s", len(h.held), dump(h.held))
}

// variable returns the line about a variable.
func variable[T ~string | ~[]byte](name, value T) string {
	return "    " + plain(string(name)) + "=" + plain(string(value)) + "\n"
}

// plain returns s so that a terminal shows it, and obeys nothing in it.
func plain(s string) string {
	for _, c := range s {
		if !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}

// dump returns the first bytes of b in hex.
func dump(b []byte) string {
	var out strings.Builder
	for line := range strings.Lines(hex.Dump(b[:min(len(b), maxDump)])) {
		out.WriteString("    " + line)
	}
	if n := len(b) - maxDump; n > 0 {
		fmt.Fprintf(&out, "    and %d bytes more\n", n)
	}
	return out.String()
}
