package admin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"
)

//go:embed page.html page.css page.js
var assets embed.FS

// pageTemplate is parsed when a page is first wanted, since every gatehouse cgi is a new process.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page.html").Funcs(template.FuncMap{
		"took": took, "size": size, "since": since, "clock": clock, "chart": chart, "meter": meterOf, "measured": measured,
		"application": applicationName, "lines": lines, "total": total, "times": timesText,
	}).ParseFS(assets, "page.html"))
})

// A view is what the page shows.
type view struct {
	*Status
	MayAbort, NeedsToken bool
}

func (h *Handler) view(r *http.Request) view {
	local, token := h.mayAbort(r)
	return view{Status: h.now(), MayAbort: local || token, NeedsToken: !local}
}

// page responds with the live page, which is complete without its script.
func (h *Handler) page(w http.ResponseWriter, r *http.Request) {
	h.respond(w, "text/html; charset=utf-8", func(b *bytes.Buffer) error { return pageTemplate().Execute(b, h.view(r)) })
}

// asset responds with a file that the page needs.
func asset(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, assets, strings.TrimPrefix(r.URL.Path, "/"))
}

// lineEnds begins a line of an event after each that ends one: a carriage return, too.
var lineEnds = strings.NewReplacer("\r\n", "\ndata: ", "\n", "\ndata: ", "\r", "\ndata: ")

// eventInterval is the time between two events.
const eventInterval = 2 * time.Second

// events sends the inner part of the page as it is now, again and again, until the client
// leaves or takes nothing.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	leave := h.take(h.streams, w)
	if leave == nil {
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // that of the request: it would end the response
	tick := time.NewTicker(eventInterval)
	defer tick.Stop()
	var b bytes.Buffer
	for {
		b.Reset()
		if err := pageTemplate().ExecuteTemplate(&b, "main", h.view(r)); err != nil {
			return
		}
		rc.SetWriteDeadline(time.Now().Add(patience))
		event := "data: " + lineEnds.Replace(b.String()) + "\n\n"
		if _, err := fmt.Fprint(w, event); err != nil || rc.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
