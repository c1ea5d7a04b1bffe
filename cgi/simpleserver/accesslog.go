package simpleserver

import (
	"io"
	"os"
	"strconv"
	"unicode/utf8"
)

// logRequest writes the line of a request to the access log, as http.server's
// log_request does.
func (s *Server) logRequest(host, line, code, bytes string) {
	b := append([]byte(host), " - - ["...)
	b = s.now().AppendFormat(b, "02/Jan/2006 15:04:05")
	b = append(b, "] \""...)
	b = appendLogText(b, line)
	b = append(b, "\" "+code+" "+bytes+"\n"...)
	var w io.Writer = os.Stderr
	if s.AccessLog != nil {
		w = s.AccessLog
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	w.Write(b)
}

// appendLogText appends s, which is ISO 8859-1, as UTF-8, with its control
// characters escaped, so that no client writes a line of its own.
func appendLogText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c < 0x20 || 0x7f <= c && c < 0xa0:
			b = append(b, `\x`...)
			if c < 0x10 {
				b = append(b, '0')
			}
			b = strconv.AppendUint(b, uint64(c), 16)
		default:
			b = utf8.AppendRune(b, rune(c))
		}
	}
	return b
}
