package conform

import (
	"bytes"
	"strconv"
	"strings"

	"gatehouse/fastcgi/record"
)

// The variables that GET_VALUES may ask for (FastCGI 1.0 § 4.1).
const (
	maxConns = "FCGI_MAX_CONNS"
	maxReqs  = "FCGI_MAX_REQS"
	mpxConns = "FCGI_MPXS_CONNS"
)

// The lengths of bodies, in bytes. The large one exceeds the buffers of a connection.
const (
	smallBody = 64
	largeBody = 1 << 20
)

// variables returns the variables of a request, as a web server sends them. Those of the
// target replace them; extra ones are appended.
func (p *probe) variables(method string, extra ...Param) []Param {
	v := []Param{
		{"GATEWAY_INTERFACE", "CGI/1.1"},
		{"SERVER_SOFTWARE", "gatehouse-conform"},
		{"SERVER_NAME", "localhost"},
		{"SERVER_PORT", "80"},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"REMOTE_ADDR", "127.0.0.1"},
		{"REQUEST_URI", "/"},
		{"SCRIPT_NAME", "/"},
		{"QUERY_STRING", ""},
		{"HTTP_HOST", "localhost"},
		{"REQUEST_METHOD", method},
	}
	for _, param := range p.Params {
		v = setParam(v, param)
	}
	return append(v, extra...)
}

// setParam replaces the variable of the same name, or appends one.
func setParam(v []Param, param Param) []Param {
	for i := range v {
		if v[i].Name == param.Name {
			v[i].Value = param.Value
			return v
		}
	}
	return append(v, param)
}

func pairs(v []Param) []byte {
	var b []byte
	for _, param := range v {
		b = record.AppendPair(b, param.Name, param.Value)
	}
	return b
}

// longPairs encodes every length in four bytes, which is allowed for small ones, too
// (FastCGI 1.0 § 3.4).
func longPairs(v []Param) []byte {
	var b []byte
	for _, param := range v {
		n, m := len(param.Name), len(param.Value)
		b = append(b, byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n),
			byte(m>>24)|0x80, byte(m>>16), byte(m>>8), byte(m))
		b = append(append(b, param.Name...), param.Value...)
	}
	return b
}

func beginRequest(id uint16, flags byte) []byte {
	return record.AppendBegin(nil, id, record.Responder, flags)
}

// empty returns a record without content, such as the end of a stream.
func empty(t record.Type, id uint16) []byte { return record.AppendHeader(nil, t, id, 0, 0) }

// stream returns a whole stream, including its end.
func stream(t record.Type, id uint16, data []byte) []byte {
	return append(record.AppendStream(nil, t, id, data), empty(t, id)...)
}

// getWith returns a GET request with these pairs.
func getWith(id uint16, flags byte, pairs []byte) []byte {
	b := append(beginRequest(id, flags), stream(record.Params, id, pairs)...)
	return append(b, empty(record.Stdin, id)...)
}

// get returns a whole GET request, with extra variables.
func (p *probe) get(id uint16, flags byte, extra ...Param) []byte {
	return getWith(id, flags, pairs(p.variables("GET", extra...)))
}

// postHead returns a POST request without its STDIN.
func (p *probe) postHead(id uint16, flags byte, length string) []byte {
	v := p.variables("POST", Param{"CONTENT_TYPE", "text/plain"}, Param{"CONTENT_LENGTH", length})
	return append(beginRequest(id, flags), stream(record.Params, id, pairs(v))...)
}

// post returns a whole POST request with a body of n bytes.
func (p *probe) post(id uint16, flags byte, n int) []byte {
	return append(p.postHead(id, flags, strconv.Itoa(n)), stream(record.Stdin, id, body(n))...)
}

func body(n int) []byte { return bytes.Repeat([]byte{'b'}, n) }

// each replaces each record in b by what remake appends.
func each(b []byte, remake func(dst []byte, h record.Header, content []byte) []byte) []byte {
	var out []byte
	for len(b) > 0 {
		h := record.Header(b)
		n := record.HeaderLen + h.ContentLength()
		out = remake(out, h[:record.HeaderLen], b[record.HeaderLen:n])
		b = b[n+h.PaddingLength():]
	}
	return out
}

// padded gives every record the most padding there can be, in bytes other than 0.
func padded(dst []byte, h record.Header, content []byte) []byte {
	const most = 255
	dst = record.AppendHeader(dst, h.Type(), h.ID(), len(content), most)
	return append(append(dst, content...), strings.Repeat("\xa5", most)...)
}

// reserved sets the reserved byte of the headers.
func reserved(dst []byte, h record.Header, content []byte) []byte {
	dst = record.AppendHeader(dst, h.Type(), h.ID(), len(content), 0)
	dst[len(dst)-1] = 0xff
	return append(dst, content...)
}

// inPieces splits each stream of type t into records of n bytes.
func inPieces(t record.Type, n int) func(dst []byte, h record.Header, content []byte) []byte {
	return func(dst []byte, h record.Header, content []byte) []byte {
		for h.Type() == t && len(content) > n {
			dst = record.AppendHeader(dst, t, h.ID(), n, 0)
			dst = append(dst, content[:n]...)
			content = content[n:]
		}
		dst = record.AppendHeader(dst, h.Type(), h.ID(), len(content), 0)
		return append(dst, content...)
	}
}

// likeGet sends a request in its own session, and expects the status of the plain GET.
func (p *probe) likeGet(request ...[]byte) verdict {
	s := p.dial()
	s.send(request...)
	return s.like(1, p.base.get)
}

// likePost is likeGet for the plain POST.
func (p *probe) likePost(request ...[]byte) verdict {
	if p.base.post == 0 {
		return notApplicable("a plain POST gets no CGI response")
	}
	s := p.dial()
	s.send(request...)
	return s.like(1, p.base.post)
}

// survives returns v, or a failure if the endpoint does not serve a new connection.
func (p *probe) survives(v verdict) verdict {
	if v.outcome != Pass {
		return v
	}
	for _, s := range p.sessions {
		s.close()
	}
	s := p.dial()
	s.send(p.get(1, 0))
	if after := s.like(1, p.base.get); after.outcome == Fail {
		return fail("%s; but afterwards: %s", v.seen, after.seen)
	}
	return v
}
