package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/cgi"
)

// A Look is what is known of one request in flight. Making it takes little more than a second.
type Look struct {
	Request cgi.InFlight

	// Facts are what the log says of a slow request: what it waits for, its processes as a
	// tree, the stack of a Go handler.
	Facts []slog.Attr

	// Limits are those that apply to it, by their keys, as they are written.
	Limits []Fact
}

// A Fact is one line, or several, of what is known.
type Fact struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A Detail is what /request.json holds.
type Detail struct {
	Time    time.Time `json:"time"`
	Request Request   `json:"request"`
	Running *Use      `json:"running,omitempty"` // of its application
	Queue   *Use      `json:"queue,omitempty"`
	Facts   []Fact    `json:"facts"`
	Limits  []Fact    `json:"limits"`
}

// maxLooks is how many requests are looked at at a time.
const maxLooks = 2

// detail returns what is known of the request that r asks for. It has responded if that is nil.
func (h *Handler) detail(w http.ResponseWriter, r *http.Request) *Detail {
	leave := h.take(h.looks, w)
	if leave == nil {
		return nil
	}
	defer leave()
	id := r.URL.Query().Get("id")
	n, err := h.number(id)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil
	}
	l, found := h.Source.Look(n)
	if !found {
		http.Error(w, fmt.Sprintf("request %s is not in flight any more", id), http.StatusNotFound)
		return nil
	}
	d := &Detail{Time: time.Now(), Request: requestOf(&l.Request), Facts: []Fact{}, Limits: append([]Fact{}, l.Limits...)}
	for _, a := range l.Facts {
		d.Facts = append(d.Facts, Fact{a.Key, clipTo(a.Value.String(), maxFact)})
	}
	stats := h.Source.Stats()
	for i := range stats.Applications {
		a := &stats.Applications[i]
		if a.State != nil && a.Application == l.Request.Application && a.Authorizer == l.Request.Authorizer {
			running, queue := Use(a.State.Programs), Use(a.State.Queue)
			d.Running, d.Queue = &running, &queue
		}
	}
	return d
}

// maxFact bounds the text of a Fact, in bytes.
const maxFact = 32 << 10

// request responds with a page about one request.
func (h *Handler) request(w http.ResponseWriter, r *http.Request) {
	d := h.detail(w, r)
	if d == nil {
		return
	}
	local, token := h.mayAbort(r)
	h.respond(w, "text/html; charset=utf-8", func(b *bytes.Buffer) error {
		return pageTemplate().ExecuteTemplate(b, "request", detailView{d, local || token, !local})
	})
}

// A detailView is what that page shows.
type detailView struct {
	*Detail
	MayAbort, NeedsToken bool
}

// requestJSON responds with a Detail.
func (h *Handler) requestJSON(w http.ResponseWriter, r *http.Request) {
	if d := h.detail(w, r); d != nil {
		h.respond(w, "application/json", func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(d) })
	}
}

// WriteText writes what is known of a request, for a terminal.
func (d *Detail) WriteText(w io.Writer) error {
	var b strings.Builder
	r := &d.Request
	fmt.Fprintf(&b, "request %s (%s): %s %s\n", printable(r.ID), printable(r.RequestID), printable(r.Method), printable(r.Target))
	fmt.Fprintf(&b, "  %s for %s, client %s, application %s, %s received, %s sent\n", printable(r.State), took(r.Age), printable(r.Client),
		printable(applicationName(r.Application)), size(r.BytesIn), size(r.BytesOut))
	if d.Running != nil && d.Queue != nil {
		fmt.Fprintf(&b, "  its application: running %s, in the queue %s\n", newMeter(*d.Running, false).Text, newMeter(*d.Queue, false).Text)
	}
	for _, f := range d.Facts {
		fmt.Fprintf(&b, "%s:\n", printable(f.Name))
		for line := range strings.SplitSeq(f.Text, "\n") {
			fmt.Fprintf(&b, "  %s\n", printable(line))
		}
	}
	if len(d.Limits) > 0 {
		b.WriteString("limits:\n")
	}
	for _, f := range d.Limits {
		fmt.Fprintf(&b, "  %s = %s\n", printable(f.Name), printable(f.Text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
