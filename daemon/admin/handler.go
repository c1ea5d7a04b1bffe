package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxAnswers = 8                // that are made at a time
	maxStreams = 16               // open pages
	patience   = 10 * time.Second // for a client to send its request, and to take the response
)

// A Handler answers what the package documentation lists. All fields but Source may be zero.
// It must not be copied after first use.
type Handler struct {
	Source Source

	// History has the failures and rates that the page shows; nil: none.
	History *History

	// Version is that of the gateway, such as "v1.2.3".
	Version string

	access  atomic.Pointer[Access]
	once    sync.Once
	mux     http.ServeMux
	origin  http.CrossOriginProtection
	answers chan struct{}
	streams chan struct{}
	looks   chan struct{}
	refused atomic.Uint64
}

// An Access says what requests over TCP may do. Those over a unix socket may do everything.
type Access struct {
	// Hosts are the names that a request may have in its Host field, besides addresses and
	// localhost: those that no other site can point at this machine.
	Hosts []string

	// Token, if not empty, lets a request abort others: as "Authorization: Bearer TOKEN", or
	// as the form's field "token".
	Token string
}

// SetAccess has requests from now on do what a says, and nothing else.
func (h *Handler) SetAccess(a Access) { h.access.Store(&a) }

// allowed returns what SetAccess was last told.
func (h *Handler) allowed() *Access {
	if a := h.access.Load(); a != nil {
		return a
	}
	return new(Access)
}

// Refused returns how many requests and connections were refused because there were too many.
func (h *Handler) Refused() uint64 { return h.refused.Load() }

func (h *Handler) init() {
	h.answers, h.streams, h.looks = make(chan struct{}, maxAnswers), make(chan struct{}, maxStreams), make(chan struct{}, maxLooks)
	h.mux.HandleFunc("GET /{$}", h.page)
	h.mux.HandleFunc("GET /page.css", asset)
	h.mux.HandleFunc("GET /page.js", asset)
	h.mux.HandleFunc("GET /events", h.events)
	h.mux.HandleFunc("GET /status.json", h.status)
	h.mux.HandleFunc("GET /request", h.request)
	h.mux.HandleFunc("GET /request.json", h.requestJSON)
	h.mux.HandleFunc("POST /abort", h.abort)
	h.mux.HandleFunc("GET /metrics", h.metrics)
	h.mux.HandleFunc("GET /healthz", h.healthz)
	h.mux.HandleFunc("GET /readyz", h.readyz)
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r, false) }

// Metrics returns a handler of /metrics, /healthz and /readyz alone, for a listener that more
// may reach than may see the rest.
func (h *Handler) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, true) })
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, metrics bool) {
	h.once.Do(h.init)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if err := h.checkHost(r); err != nil {
		http.Error(w, err.Error(), http.StatusMisdirectedRequest)
		return
	}
	if metrics && !slices.Contains([]string{"/metrics", "/healthz", "/readyz"}, r.URL.Path) {
		http.Error(w, "this listener has /metrics, /healthz and /readyz alone: see admin for the rest", http.StatusNotFound)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	h.mux.ServeHTTP(w, r)
}

// take returns a function that gives a place back. If none is free it refuses the request, and
// returns nil.
func (h *Handler) take(places chan struct{}, w http.ResponseWriter) (leave func()) {
	select {
	case places <- struct{}{}:
		return func() { <-places }
	default:
		h.refused.Add(1)
		w.Header().Set("Retry-After", "1")
		http.Error(w, fmt.Sprintf("%d clients are answered already: try again", cap(places)), http.StatusServiceUnavailable)
		return nil
	}
}

// respond sends what compute writes, which is not to be much. Only that takes a place: clients
// that do not take their response keep nobody from getting one.
func (h *Handler) respond(w http.ResponseWriter, contentType string, compute func(b *bytes.Buffer) error) {
	leave := h.take(h.answers, w)
	if leave == nil {
		return
	}
	var b bytes.Buffer
	err := compute(&b)
	leave()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(b.Bytes())
}

// isLocal reports whether a request came over a unix socket, of which the mode says who may.
// An abstract one has none.
func isLocal(r *http.Request) bool {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && a.Network() == "unix" && a.String() != "" && !strings.HasPrefix(a.String(), "@")
}

// checkHost returns an error if a foreign site may have made the browser of somebody on this
// machine send the request, by a name that it points here. No browser sends HTTP/1.0 without a
// Host; load balancers do, to see how the gateway is.
func (h *Handler) checkHost(r *http.Request) error {
	host := r.Host
	if host == "" && !r.ProtoAtLeast(1, 1) {
		return nil
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if isLocal(r) || host == "localhost" || slices.ContainsFunc(h.allowed().Hosts, func(s string) bool { return strings.EqualFold(s, host) }) {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	return fmt.Errorf("%.100q is not among admin_hosts: use an address, or add the name there", host)
}

// mayAbort reports whether a request over this connection could abort others without a token.
func (h *Handler) mayAbort(r *http.Request) (allowed, byToken bool) {
	return isLocal(r), h.allowed().Token != ""
}

// abort ends a request in flight.
func (h *Handler) abort(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := h.origin.Check(r); err != nil {
		http.Error(w, "the request comes from another site", http.StatusForbidden)
		return
	}
	if !isLocal(r) {
		want := h.allowed().Token
		if want == "" {
			http.Error(w, "over TCP this address only reads: abort by the unix socket, or set admin_token_file", http.StatusForbidden)
			return
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			token = r.PostFormValue("token")
		}
		if !same(token, want) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
	}
	id := r.PostFormValue("id")
	leave := h.take(h.answers, w)
	if leave == nil {
		return
	}
	n, err := h.number(id)
	found := err == nil && h.Source.Abort(n, ErrAborted)
	leave()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case !found:
		http.Error(w, fmt.Sprintf("request %s is not in flight any more", id), http.StatusNotFound)
		return
	}
	if r.PostFormValue("back") != "" { // from the page
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	fmt.Fprintf(w, "request %d is aborted\n", n)
}

// number returns the number of a request that is given by that, or by its id in the log; 0 if
// no request with that id is in flight.
func (h *Handler) number(id string) (uint64, error) {
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		return n, nil
	}
	if len(id) > 128 || strings.Trim(id, idCharacters) != "" || id == "" {
		return 0, fmt.Errorf("%.100q is not the id of a request", id)
	}
	for _, r := range h.Source.InFlight() {
		if r.RequestID == id {
			return r.ID, nil
		}
	}
	return 0, nil
}

// idCharacters are those of an id of a request; see cgi.Request.RequestID.
const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

// ErrAborted is the cause that the log names for a request that was aborted here.
var ErrAborted = errors.New("aborted by an administrator")

// same compares secrets in a time that tells nothing about them.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// now returns the status of the moment.
func (h *Handler) now() *Status {
	stats := h.Source.Stats()
	s := statusOf(&stats, h.Source.InFlight())
	s.Version, s.Admin.Refused = h.Version, h.Refused()
	if h.History != nil {
		h.History.addTo(s)
	}
	return s
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request) {
	h.respond(w, "application/json", func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(h.now()) })
}

func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) {
	format := formatOf(r)
	h.respond(w, string(format), func(b *bytes.Buffer) error {
		stats := h.Source.Stats()
		return writeMetrics(b, format, &stats, h.Version, h.Refused())
	})
}

func (h *Handler) healthz(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") }

func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	if !h.Source.Ready() {
		http.Error(w, "not ready: gatehouse is draining, or has not begun", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}
