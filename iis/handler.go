package iis

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/cgi"
)

// A Handler is an application behind IIS: it mends the variables of a request
// ([CleanVariables]) and its path, and hands it to App. The zero value serves
// [http.DefaultServeMux] and finds out how IIS reports the path.
//
// It belongs in front of a [cgi.Mux]. Behind one that has split the path, it leaves the path
// alone.
type Handler struct {
	// App is the application. If nil, it is http.DefaultServeMux.
	App cgi.App

	// PathInfo says whether PATH_INFO repeats SCRIPT_NAME.
	PathInfo Mode

	// ScriptName, if not empty, is the path at which the application is: "/app", or "/"
	// for the root of the site. What of the path follows it becomes PATH_INFO, however
	// IIS divides the two. It is needed where the handler mapping has path="*", for IIS
	// takes the whole path for the name of the script there. As everywhere on Windows,
	// letters may be of either case; SCRIPT_NAME has those of the request. A request for
	// another path gets a 404.
	ScriptName string
}

// ServeCGI implements [cgi.App].
func (h *Handler) ServeCGI(w cgi.ResponseWriter, r *cgi.Request) error {
	CleanVariables(r.Env)
	if prefix, _, ok := r.Mounted(); !ok || prefix == "" {
		if err := h.fixPath(r); err != nil {
			return err
		}
	}
	if h.App == nil {
		return cgi.FromHTTP(nil).ServeCGI(w, r)
	}
	return h.App.ServeCGI(w, r)
}

// fixPath makes SCRIPT_NAME and PATH_INFO those of RFC 3875.
func (h *Handler) fixPath(r *cgi.Request) error {
	if h.PathInfo.decide(r.Env) == Strip {
		DedupPathInfo(r.Env)
	}
	r.Paths = cgi.PathKeep
	if h.ScriptName == "" {
		return nil
	}
	name, whole := strings.TrimRight(h.ScriptName, "/"), r.FullPath()
	n := len(name)
	if len(whole) < n || !strings.EqualFold(whole[:n], name) || len(whole) > n && whole[n] != '/' && n > 0 {
		return &cgi.StatusError{Code: http.StatusNotFound,
			Err: fmt.Errorf("the path %.200q does not begin with the script name %q", whole, h.ScriptName)}
	}
	r.Env.Set("SCRIPT_NAME", whole[:n])
	r.Env.Set("PATH_INFO", whole[n:])
	return nil
}
