package upstream

import (
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/relay"
	"gatehouse/fastcgi/client"
	"gatehouse/internal/backend"
)

// A passage is a request on its way, all in one piece of memory. It is pooled, with the
// functions, which would be allocated anew for each request.
type passage struct {
	all     func(yield func(name, value string) bool) // params.all
	rewords func(error) error                         // reword
	watches func()                                    // watch
	crossing
}

// A crossing is what a request has for itself.
type crossing struct {
	params   params
	body     *backend.Body // nil: none
	empty    backend.Body  // body, of a request without
	request  client.Request
	response client.Response
	sent     *client.Response // response, unless the request was sent anew
	stderr   stderr
	turn     backend.Turn
	left     bool         // turn is over
	conn     *client.Conn // of sent
	file     *client.File // the rest of the response, or nil
	activity relay.Activity
	output   backend.Output
}

var passages = sync.Pool{New: func() any { return newPassage() }}

func newPassage() *passage {
	p := new(passage)
	p.all, p.rewords, p.watches = p.params.all, p.reword, p.watch
	return p
}

// watch has the end of the request's context end the response.
func (p *passage) watch() { p.sent.Watch() }

// free returns p to the pool, unless others may still have a part of it: whoever watches r, what
// sends its body, or a connection that has been told to end the request.
func (p *passage) free(r *cgi.Request) {
	if r.Watched() || p.body != &p.empty || !p.response.Reset() {
		return
	}
	p.crossing = crossing{} // in place, which copies nothing
	passages.Put(p)
}
