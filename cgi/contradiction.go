package cgi

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
)

// clientVariables are those of which a [Handler] logs that they were sent with two values.
// The first stands for all that begin with it, so that there are only so many.
var clientVariables = [...]string{"SSL_CLIENT_", "REMOTE_USER", "REMOTE_IDENT", "AUTH_TYPE", "REMOTE_ADDR"}

// contradictions logs each of clientVariables once. It is the configuration of the web server
// that sends two values, but a client may cause it with every request.
type contradictions struct {
	logged [len(clientVariables)]atomic.Bool
}

func (c *contradictions) log(log *slog.Logger, r *Request) {
	for _, name := range r.Env.contradicted {
		for i, known := range clientVariables {
			if name != known && (i != 0 || !strings.HasPrefix(name, known)) || c.logged[i].Swap(true) {
				continue
			}
			consequence := "applications get it empty, since either may be what the client claims to be"
			if !identifies(name) {
				consequence = "applications get one of them"
			}
			log.LogAttrs(context.Background(), slog.LevelWarn, "a variable was sent twice, with different values; this is logged once for each name",
				r.LogAttr(), slog.String("variable", name), slog.String("consequence", consequence),
				slog.String("remedy", "let the web server send it once: in nginx, a fastcgi_param does not replace that of an included file"))
		}
	}
}

// Ambiguous returns the names, sorted, of the variables that the web server sent with
// different values and of which one counts, except those that a [Handler] logs.
func (e *Environ) Ambiguous() []string {
	var names []string
	for _, name := range e.contradicted {
		logged := slices.ContainsFunc(clientVariables[:], func(known string) bool {
			return name == known || known == clientVariables[0] && strings.HasPrefix(name, known)
		})
		if !logged {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
