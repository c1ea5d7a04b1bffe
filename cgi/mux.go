package cgi

import (
	"cmp"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"
)

// A Mux hands requests to the applications mounted at prefixes of the path. The longest
// prefix that matches on a segment boundary wins: it becomes SCRIPT_NAME, and the rest of
// the path PATH_INFO. What the web server sent stays available as [Request.SentPath].
//
// The prefix "/" leaves the mount point to the web server: it changes nothing where
// SCRIPT_NAME and PATH_INFO, one after the other, are the path. Otherwise SCRIPT_NAME becomes
// the mount point if the web server told one, and empty if it did not.
//
// The zero value responds to every request with 404. Mount must not be called while requests
// are served.
type Mux struct {
	mounts []*mount
}

type mount struct {
	prefix string // "" for the root, otherwise with a leading slash and none at the end
	app    App
	tally  [2]atomic.Pointer[Tally] // that it last had; the second of an Authorizer
}

// Mount mounts a at prefix, which begins with "/". A trailing slash makes no difference. A
// prefix can be used once.
func (m *Mux) Mount(prefix string, a App) error {
	if !strings.HasPrefix(prefix, "/") {
		return fmt.Errorf("prefix %q does not begin with a slash", prefix)
	}
	p := strings.TrimRight(prefix, "/")
	for _, x := range m.mounts {
		if x.prefix == p {
			return fmt.Errorf("prefix %q is mounted twice", prefix)
		}
	}
	m.mounts = append(m.mounts, &mount{prefix: p, app: a})
	sort.SliceStable(m.mounts, func(i, j int) bool { return len(m.mounts[i].prefix) > len(m.mounts[j].prefix) })
	return nil
}

// ServeCGI implements App.
func (m *Mux) ServeCGI(w ResponseWriter, r *Request) error {
	settled := r.settlePath()
	path := settled.path
	for i := range m.mounts {
		x := m.mounts[i]
		if !hasPrefix(path, x.prefix) {
			continue
		}
		x.split(r, settled)
		if r.response != nil {
			r.response.flight.tally.Store(x.tallyFor(r))
		}
		return x.app.ServeCGI(w, r)
	}
	if path == "" && r.Env.Get("REQUEST_METHOD") == "" {
		return &StatusError{Code: http.StatusInternalServerError, Err: ErrNoVariables}
	}
	return &StatusError{Code: http.StatusNotFound, Err: fmt.Errorf("no application is mounted at %.200q", path), Check: "unmounted"}
}

// Mounts returns the applications that m has mounted, sorted by their names. Inside another
// Mux, the name says only where in m an application is mounted.
func (m *Mux) Mounts() []Mounted {
	list := make([]Mounted, 0, len(m.mounts))
	for _, x := range m.mounts {
		list = append(list, Mounted{x.name(), x.app})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Application < list[j].Application })
	return list
}

// name returns the name of the application in the figures.
func (x *mount) name() string { return cmp.Or(x.prefix, "/") }

// tallyFor returns what counts for the application that serves r.
func (x *mount) tallyFor(r *Request) *Tally {
	last := &x.tally[0]
	if r.Role == Authorizer {
		last = &x.tally[1]
	}
	l := r.response.ledger
	t := last.Load()
	if t == nil || t.ledger != l {
		t = l.tally(x.name(), r.Role == Authorizer)
		last.Store(t)
	}
	return t
}

// hasPrefix reports whether prefix covers path on a segment boundary.
func hasPrefix(path, prefix string) bool {
	return strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/' || prefix == "")
}

// split moves the prefix to SCRIPT_NAME.
func (x *mount) split(r *Request, settled settledPath) {
	r.saveSentPath()
	path, prefix := settled.path, x.prefix
	r.mount = mountPoint{true, prefix, path[len(prefix):]}
	if prefix == "" {
		if r.sent.hasScript && r.sent.hasInfo && (!settled.told || r.sent.script+r.sent.info == path) {
			return
		}
		prefix = settled.mount
	}
	r.sent.split = true
	r.Env.Set("SCRIPT_NAME", prefix)
	r.Env.Set("PATH_INFO", path[len(prefix):])
}
