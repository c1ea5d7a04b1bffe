package script

import (
	"net/http"
	"path"
	"path/filepath"
	"strings"

	"gatehouse/cgi"
)

// nphPrefix begins the names of programs that answer with a whole HTTP response.
const nphPrefix = "nph-"

// answersHTTP reports whether the program at name is a non-parsed-header script (RFC
// 3875 § 5): by its name, or by one of the patterns of App.NPH.
func (a *App) answersHTTP(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, nphPrefix) {
		return true
	}
	for _, p := range a.NPH {
		if ok, _ := path.Match(p, base); ok {
			return true
		}
	}
	return false
}

// beginNPH looks at the head of such a program for the form of its body. The
// connection to the client is not the program's, so that nobody else takes a chunked
// body apart.
func (u *run) beginNPH(h *cgi.ProgramHead) error {
	for _, f := range h.Fields {
		if !strings.EqualFold(f.Name, "Transfer-Encoding") {
			continue
		}
		if u.chunks != nil || !strings.EqualFold(f.Value, "chunked") || h.ContentLength >= 0 {
			err := u.errorf(http.StatusBadGateway, "its body has the Transfer-Encoding %.40q: only chunked is known, and that without a Content-Length", f.Value)
			u.end(err)
			return err
		}
		u.chunks = new(chunkedBody)
	}
	if h.Code == http.StatusNoContent || h.Code == http.StatusNotModified || u.request.Env.Get("REQUEST_METHOD") == http.MethodHead {
		u.chunks = nil // there is no body, whatever its form would be
	}
	return nil
}

// takeChunks takes a piece of a chunked body.
func (u *run) takeChunks(b []byte) error {
	for {
		data, rest, err := u.chunks.next(b)
		if err != nil {
			err = u.errorf(http.StatusBadGateway, "%w", err)
			u.end(err)
			return err
		}
		if len(data) > 0 || len(rest) == 0 {
			if err := u.takeBody(data); err != nil {
				return err
			}
		}
		if b = rest; len(b) == 0 {
			return nil
		}
	}
}
