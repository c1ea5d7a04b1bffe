package fastcgi

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

// decode makes the variables of the PARAMS stream, which has ended (F7, F9, F10). It
// does not keep params.
func (r *request) decode(params []byte) error {
	limit := r.set.T.limits.ParamsCount
	text := string(params)
	nuls := strings.Count(text, "\x00")
	pairs := r.pairs[:0]
	for at := 0; at < len(text); {
		if len(pairs) == limit {
			return r.c.srv.acceptor.Refusal(&cgi.StatusError{Code: http.StatusRequestHeaderFieldsTooLarge,
				Err: fmt.Errorf("more than %d variables (params_count)", limit), Check: "params_count"}, r.c.peer())
		}
		var start, middle, end int
		if at+1 < len(text) && text[at] < 0x80 && text[at+1] < 0x80 {
			// Two short lengths, as nearly every pair has them.
			start = at + 2
			middle = start + int(text[at])
			end = middle + int(text[at+1])
		} else if name, value, rest, err := record.NextPair(text[at:]); err == nil {
			end = len(text) - len(rest)
			middle = end - len(value)
			start = middle - len(name)
		}
		if start == 0 || end > len(text) {
			return r.c.srv.acceptor.Refusal(&cgi.StatusError{Code: http.StatusBadRequest, Err: record.ErrTruncatedPair, Check: "params"}, r.c.peer())
		}
		// A length that is 0, or 4 bytes long, holds NUL bytes of its own.
		for ; at < start; at++ {
			if text[at] == 0 {
				nuls--
			}
		}
		pairs = append(pairs, cgi.Pair{Name: start, NameEnd: middle, Value: middle, End: end})
		at = end
	}
	r.pairs = pairs
	if err := r.env.AddPairs(text, pairs...); err != nil {
		return r.c.srv.acceptor.Refusal(&cgi.StatusError{Code: http.StatusBadRequest, Err: err, Check: "params"}, r.c.peer())
	}
	if nuls > 0 {
		return r.c.srv.acceptor.Refusal(&cgi.StatusError{Code: http.StatusBadRequest, Err: r.nulError(), Check: "params"}, r.c.peer())
	}
	return nil
}

// nulError says which variable holds a NUL byte.
func (r *request) nulError() error {
	for name, value := range r.env.All() {
		if strings.IndexByte(name, 0) >= 0 || strings.IndexByte(value, 0) >= 0 {
			return fmt.Errorf("%w: %q", cgi.ErrNUL, name)
		}
	}
	return cgi.ErrNUL // of a value that another has replaced
}
