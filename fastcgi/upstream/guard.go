package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/cgi"
)

// A Guard is a cgi.App that asks an Authorizer (FastCGI 1.0 § 6.3) about each request before
// another App gets it.
//
// A request that the Authorizer lets in, by a response with status 200, has a variable NAME
// for each of its fields Variable-NAME, in place of one that the web server sent; nothing
// else of the response is used. Any other response is the client's. An Authorizer that does
// not respond, in time and completely, lets nobody in: the error is a *cgi.StatusError of 503.
//
// The Authorizer gets the variables of the request but CONTENT_LENGTH, PATH_INFO,
// PATH_TRANSLATED and SCRIPT_NAME, and no body.
type Guard struct {
	Authorizer cgi.App // such as an *App
	App        cgi.App
}

// ServeCGI implements cgi.App.
func (g *Guard) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	asked := *r
	asked.Role, asked.Body, asked.ContentLength, asked.Data = cgi.Authorizer, http.NoBody, 0, nil
	asked.SetContext(r.Context())
	v := verdict{w: w}
	err := g.Authorizer.ServeCGI(&v, &asked)
	switch {
	case v.refused: // the client has the head of the response
		return err
	case err == nil && !v.begun:
		err = errors.New("it has sent no response")
		fallthrough
	case err != nil:
		return &cgi.StatusError{Code: http.StatusServiceUnavailable, RetryAfter: time.Second, Err: fmt.Errorf("authorizer: %w", err)}
	}
	for _, f := range v.variables {
		r.Env.Set(f.Name, f.Value)
	}
	return g.App.ServeCGI(w, r)
}

// Unwrap returns App, for [cgi.Mounts].
func (g *Guard) Unwrap() cgi.App { return g.App }

// Descriptors returns how many descriptors of this process both take at most.
func (g *Guard) Descriptors() int { return cgi.Descriptors(g.Authorizer, g.App) }

// variablePrefix is what the names of fields begin with that become variables.
const variablePrefix = "Variable-"

// A verdict is the ResponseWriter of an Authorizer. It passes a response on that is no
// permission.
type verdict struct {
	w         cgi.ResponseWriter
	begun     bool
	refused   bool
	variables []cgi.Field
}

// StartResponse implements cgi.ResponseWriter.
func (v *verdict) StartResponse(status string, fields []cgi.Field) error {
	v.begun = true
	v.refused = !strings.HasPrefix(status, "200")
	var others []cgi.Field
	for _, f := range fields {
		if len(f.Name) <= len(variablePrefix) || !strings.EqualFold(f.Name[:len(variablePrefix)], variablePrefix) {
			others = append(others, f)
			continue
		}
		name := f.Name[len(variablePrefix):]
		if strings.ContainsAny(name, "=\x00") || strings.IndexByte(f.Value, 0) >= 0 {
			return fmt.Errorf("%w: %q cannot be a variable", cgi.ErrField, f.Name)
		}
		v.variables = append(v.variables, cgi.Field{Name: strings.Clone(name), Value: strings.Clone(f.Value)})
	}
	if !v.refused {
		return nil
	}
	return v.w.StartResponse(status, others)
}

// Write implements io.Writer.
func (v *verdict) Write(p []byte) (int, error) {
	if v.refused {
		return v.w.Write(p)
	}
	return len(p), nil
}

// Flush implements cgi.ResponseWriter.
func (v *verdict) Flush() error {
	if v.refused {
		return v.w.Flush()
	}
	return nil
}
