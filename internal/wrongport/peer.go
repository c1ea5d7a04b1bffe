package wrongport

import (
	"encoding/binary"
	"fmt"

	"gatehouse/fastcgi/record"
)

// A Peer speaks another protocol than the listener. It is an error, whose text says how to
// remedy that.
type Peer struct {
	Listener Protocol
	Speaks   Protocol

	reply    Protocol // what it can read; of FastCGI …
	id       uint16   // … as the response to this request, 0 if there is none
	headOnly bool     // over HTTP
}

// Recognize returns the peer that has sent first to a listener, or nil if it speaks the
// protocol of the listener, or none that is known.
func Recognize(listener Protocol, first []byte) *Peer {
	speaks := protocolOf(first)
	if speaks == "" || speaks == listener {
		return nil
	}
	p := &Peer{Listener: listener, Speaks: speaks, reply: speaks}
	if speaks == PROXY {
		first = afterPROXY(first)
		if p.reply = protocolOf(first); p.reply == "" || p.reply == PROXY {
			p.reply = HTTP // which is the likeliest, and whose heads nginx reads over SCGI as well
		}
	}
	switch {
	case p.reply == FastCGI && len(first) >= 4:
		p.id = binary.BigEndian.Uint16(first[2:])
	case p.reply == HTTP:
		p.headOnly = len(first) > 4 && string(first[:5]) == "HEAD "
	}
	return p
}

// Message says what came, as a line of a log. There are few messages, so that each is a kind
// of line whose number can be bounded.
func (p *Peer) Message() string {
	article := "a"
	if p.Listener != FastCGI {
		article = "an"
	}
	return fmt.Sprintf("%s came to %s %s listener", p.Speaks, article, p.Listener)
}

// spelling is how a protocol is called in the configurations of nginx, Apache and gatehouse.
var spelling = map[Protocol]struct{ nginx, apache, flag string }{
	FastCGI: {"fastcgi_pass", "fcgi://", "--fastcgi"},
	SCGI:    {"scgi_pass", "scgi://", "--scgi"},
	HTTP:    {"proxy_pass", "http://", "--http"},
	UWSGI:   {"uwsgi_pass", "uwsgi://", ""},
}

// Remedy says what to change.
func (p *Peer) Remedy() string {
	want := spelling[p.Listener]
	switch p.Speaks {
	case TLS:
		if p.Listener == HTTP {
			return "use http://, not https://, for this address: gatehouse speaks no TLS; a web server in front of it does"
		}
		return fmt.Sprintf("have the web server speak %s to this address, without TLS (HAProxy: remove ssl from the server line)", p.Listener)
	case PROXY:
		remedy := "HAProxy: remove send-proxy, or send-proxy-v2, from the server line; nginx: remove proxy_protocol"
		if p.Listener == HTTP {
			remedy += "; for the address of the client, use X-Forwarded-For and trusted_proxies"
		}
		return remedy
	}
	sent := spelling[p.Speaks]
	remedy := fmt.Sprintf("nginx: use %s, not %s, for this address; Apache: use %s, not %s", want.nginx, sent.nginx, want.apache, sent.apache)
	if sent.flag != "" {
		remedy += fmt.Sprintf("; or have gatehouse listen for %s (%s)", p.Speaks, sent.flag)
	}
	return remedy
}

// Error returns the message and the remedy.
func (p *Peer) Error() string { return p.Message() + ": " + p.Remedy() }

// Response returns what the peer is to get before the connection is closed: an error page, in
// its own language. To TLS it is that of HTTP, because the error that a client shows then
// ("wrong version number", "record too long") is known to mean that there is no TLS. It is
// empty if nothing can be said.
func (p *Peer) Response() []byte {
	const contentType = "Content-Type: text/plain; charset=utf-8\r\n"
	text := fmt.Sprintf("%s.\n%s.\n", p.Message(), p.Remedy())
	page := "Status: 502 Bad Gateway\r\n" + contentType + "\r\n" + text
	switch p.reply {
	case FastCGI:
		if p.id == 0 {
			return nil
		}
		b := record.AppendRecord(nil, record.Stderr, p.id, []byte(p.Error()))
		b = record.AppendRecord(b, record.Stderr, p.id, nil)
		b = record.AppendRecord(b, record.Stdout, p.id, []byte(page))
		b = record.AppendRecord(b, record.Stdout, p.id, nil)
		return record.AppendEndRequest(b, p.id, 0, record.RequestComplete)
	case SCGI, UWSGI:
		return []byte(page)
	}
	b := fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n", contentType, len(text))
	if p.headOnly {
		return b
	}
	return append(b, text...)
}
