package cgi

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Errors of a variable that no application can be given.
var (
	ErrEmptyName = errors.New("variable without a name")
	ErrNUL       = errors.New("NUL byte in a variable")
)

// Environ holds the CGI variables (meta-variables, RFC 3875 § 4.1) of one
// request: exact bytes, in the order of arrival, each name once. Names are
// compared byte for byte. The zero value is empty and ready to use. An Environ
// is not safe for concurrent use.
type Environ struct {
	pairs pairs

	// seen is a filter over the names: a clear bit proves that a name is not there, so
	// that nothing has to be searched.
	seen [4]uint64

	// joins holds the values that grew by joining, keyed by name, so that a peer that
	// repeats one name a thousand times costs its bytes and not their square.
	joins map[string]*strings.Builder

	// firsts holds, by name, the first value where a web server sent several and the
	// last one won.
	firsts map[string]string

	// contradicted holds the names that were sent with values that differ, each once,
	// but for those whose values are joined.
	contradicted []string

	scheme  string   // what SetScheme set
	request *Request // while a WSGI application runs

	// While the request is in flight, others may look at it: then mu guards what changes the
	// variables.
	shared bool
	mu     sync.Mutex
}

// NewEnviron returns an Environ of the given "NAME=value" strings, as
// os.Environ has them. A string without "=" is left out; the last of a repeated
// name wins.
func NewEnviron(vars ...string) *Environ {
	e := newEnviron(len(vars))
	for _, v := range vars {
		// On Windows the names of hidden variables begin with "=".
		if i := strings.IndexByte(v, '='); i > 0 {
			e.Set(v[:i], v[i+1:])
		}
	}
	return e
}

// newEnviron returns an empty Environ with room for n variables.
func newEnviron(n int) *Environ {
	return &Environ{pairs: pairs{list: make([]pair, 0, n), added: make([]string, 0, 2*n)}}
}

// mark sets the bit of name in the filter and reports whether it was clear.
func (e *Environ) mark(name string) (fresh bool) {
	word, bit := filterBit(name)
	fresh = e.seen[word]&bit == 0
	e.seen[word] |= bit
	return fresh
}

func filterBit(name string) (word uint, bit uint64) {
	n := uint(len(name))
	if n == 0 {
		return 0, 1
	}
	h := n*31 + uint(name[n-1])*7 + uint(name[n/2])*131 + uint(name[0])
	return h >> 6 & 3, uint64(1) << (h & 63)
}

func (e *Environ) index(name string) int {
	if word, bit := filterBit(name); e.seen[word]&bit == 0 {
		return -1
	}
	return e.pairs.index(name)
}

// Add adds a variable as it arrives from a web server. The values of a repeated HTTP_*
// variable are joined (HTTP_COOKIE with "; ", others with ", ", RFC 9110 § 5.3), but the last
// value of HTTP_HOST, HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE and all other names wins. But
// REMOTE_USER, REMOTE_IDENT, AUTH_TYPE and SSL_CLIENT_* say who the client is, and one of
// two values may be the client's own claim: if they differ, in whatever order, the variable
// is empty. A variable without a name, or with a NUL byte, is an error.
func (e *Environ) Add(name, value string) error {
	if name == "" {
		return ErrEmptyName
	}
	if strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("%w: %q", ErrNUL, name)
	}
	if e.shared {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	if !e.mark(name) {
		if i := e.index(name); i >= 0 {
			e.resolveRepeated(i, name, value)
			return nil
		}
	}
	e.pairs.append(name, value)
	return nil
}

// AddPairs adds variables as Add does, in order, whose names and values are parts of text,
// such as the block in which a web server sent them all. The Environ keeps the text as a
// whole, in place of two strings for each variable. It does not look for NUL bytes: whoever
// decodes the text can do that at less cost. The only error is ErrEmptyName.
func (e *Environ) AddPairs(text string, list ...Pair) error {
	if e.shared {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	e.pairs.list = slices.Grow(e.pairs.list, len(list))
	own := e.pairs.adopt(text)
	for i := range list {
		p := &list[i]
		name := text[p.Name:p.NameEnd]
		if name == "" {
			return ErrEmptyName
		}
		if word, bit := filterBit(name); e.seen[word]&bit == 0 {
			e.seen[word] |= bit
		} else if i := e.pairs.index(name); i >= 0 {
			e.resolveRepeated(i, name, text[p.Value:p.End])
			continue
		}
		if own {
			e.pairs.list = append(e.pairs.list, p.pair())
		} else {
			e.pairs.append(name, text[p.Value:p.End])
		}
	}
	return nil
}

// resolveRepeated sets the value of a name that is there already, as the i-th.
func (e *Environ) resolveRepeated(i int, name, value string) {
	if sep := separator(name); sep != "" {
		e.pairs.setValue(i, e.join(i, name, sep, value))
		return
	}
	had := e.pairs.value(i)
	if value == had {
		return
	}
	if !slices.Contains(e.contradicted, name) {
		e.contradicted = append(e.contradicted, name)
	}
	if identifies(name) {
		e.pairs.setValue(i, "")
		return
	}
	if _, known := e.firsts[name]; !known {
		if e.firsts == nil {
			e.firsts = make(map[string]string)
		}
		e.firsts[name] = had
	}
	e.pairs.setValue(i, value)
}

// identifies reports whether programs take a variable for what the web server found out
// about who the client is.
func identifies(name string) bool {
	switch name {
	case "REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE":
		return true
	}
	return strings.HasPrefix(name, "SSL_CLIENT_")
}

// Contradicted returns the names that a web server sent with values that differ, each once,
// in the order in which that showed. Names whose values are joined are not among them.
func (e *Environ) Contradicted() []string { return slices.Clone(e.contradicted) }

// First returns the value of name that arrived first. It differs from Lookup where a web
// server sent several and the last one won: C programs find the first in their environment.
// A value that was set since is the only one.
func (e *Environ) First(name string) (string, bool) {
	if v, ok := e.firsts[name]; ok {
		return v, true
	}
	return e.Lookup(name)
}

// separator returns what joins the values of a repeated variable, or "" where
// the last value wins.
func separator(name string) string {
	if !strings.HasPrefix(name, "HTTP_") {
		return ""
	}
	switch name {
	case "HTTP_COOKIE":
		return "; "
	case "HTTP_HOST", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE":
		return ""
	}
	return ", "
}

func (e *Environ) join(i int, name, sep, value string) string {
	b := e.joins[name]
	if b == nil {
		if e.joins == nil {
			e.joins = make(map[string]*strings.Builder)
		}
		b = new(strings.Builder)
		b.WriteString(e.pairs.value(i))
		e.joins[name] = b
	}
	b.WriteString(sep)
	b.WriteString(value)
	return b.String()
}

// Get returns the value of name, or "" if it is not set. RFC 3875 § 4.1 does not distinguish
// the two.
func (e *Environ) Get(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// Lookup returns the value of name and whether it is set.
func (e *Environ) Lookup(name string) (string, bool) {
	if i := e.index(name); i >= 0 {
		return e.pairs.value(i), true
	}
	return "", false
}

// Set sets name to value: in its place if it is there, else at the end.
func (e *Environ) Set(name, value string) {
	if e.shared {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	delete(e.joins, name)
	delete(e.firsts, name)
	if i := e.index(name); i >= 0 {
		e.pairs.setValue(i, value)
		return
	}
	e.mark(name)
	e.pairs.append(name, value)
}

// SetDefault sets name to value unless it is set, and returns its value.
func (e *Environ) SetDefault(name, value string) string {
	if v, ok := e.Lookup(name); ok {
		return v
	}
	e.Set(name, value)
	return value
}

// Del removes name.
func (e *Environ) Del(name string) {
	delete(e.joins, name)
	delete(e.firsts, name)
	if i := e.index(name); i >= 0 {
		if e.shared {
			e.mu.Lock()
			defer e.mu.Unlock()
		}
		e.pairs.remove(i)
	}
}

// Len returns the number of variables.
func (e *Environ) Len() int { return e.pairs.len() }

// All yields the variables in order. The Environ must not be changed meanwhile.
func (e *Environ) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := range e.pairs.len() {
			if !yield(e.pairs.at(i)) {
				return
			}
		}
	}
}

// Clone returns a copy that shares nothing that can change.
func (e *Environ) Clone() *Environ {
	return &Environ{pairs: e.pairs.clone(), seen: e.seen, firsts: maps.Clone(e.firsts),
		contradicted: slices.Clone(e.contradicted), scheme: e.scheme}
}

// Strings returns the variables as "NAME=value", in order.
func (e *Environ) Strings() []string {
	s := make([]string, 0, e.pairs.len())
	for name, value := range e.All() {
		s = append(s, name+"="+value)
	}
	return s
}

// Map returns the variables as a map.
func (e *Environ) Map() map[string]string {
	m := make(map[string]string, e.pairs.len())
	for name, value := range e.All() {
		m[name] = value
	}
	return m
}

// SetScheme sets what Scheme returns: PEP 3333's wsgi.url_scheme, for a front-end or an
// application that knows better than the variables. It changes no variable. "" leaves it to
// [GuessScheme] again.
func (e *Environ) SetScheme(scheme string) { e.scheme = scheme }

// Scheme returns the scheme of the request's URI, such as "https": the one that SetScheme
// set, or else that of [GuessScheme].
func (e *Environ) Scheme() string {
	if e.scheme != "" {
		return e.scheme
	}
	return GuessScheme(e)
}

// Reset removes all variables and the scheme. It keeps the memory for as many variables, but
// not their strings.
func (e *Environ) Reset() {
	if e.shared {
		e.mu.Lock()
		defer e.mu.Unlock()
	}
	e.pairs.reset()
	e.seen = [4]uint64{}
	e.joins, e.firsts, e.contradicted, e.scheme, e.request = nil, nil, nil, "", nil
}
