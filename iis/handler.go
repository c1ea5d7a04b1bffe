package iis

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/cgi"
)

// A Handler is an application behind IIS: it mends the variables of a request
// ([CleanVariables]) and its path, also one with characters that the code page of the machine
// lacks, and hands it to App. The zero value serves
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

	// OriginalURL takes the URL of HTTP_X_ORIGINAL_URL for that of the request, where it is
	// set: the one before the URL Rewrite module has rewritten it. Then REQUEST_URI is that
	// URL, PATH_INFO is its path, and SCRIPT_NAME is empty unless ScriptName says otherwise.
	// A client can send the field X-Original-URL itself, and so name a path that IIS would
	// not have let it have, wherever no rule has rewritten the URL of its request. So this is
	// for a site where one does for every request.
	OriginalURL bool
}

// Unwrap returns App, for [cgi.Mounts].
func (h *Handler) Unwrap() cgi.App { return h.App }

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
	restorePath(r.Env)
	if h.PathInfo.decide(r.Env) == Strip {
		DedupPathInfo(r.Env)
	}
	r.Paths = cgi.PathKeep
	if h.OriginalURL {
		if err := takeOriginalURL(r); err != nil {
			return err
		}
	}
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

// takeOriginalURL makes the URL before a rewrite that of the request.
func takeOriginalURL(r *cgi.Request) error {
	url := r.Env.Get("HTTP_X_ORIGINAL_URL")
	if !strings.HasPrefix(url, "/") {
		return nil
	}
	r.Env.Set("REQUEST_URI", url)
	path := r.Env.RequestPath()
	r.Env.Set("SCRIPT_NAME", "")
	r.Env.Set("PATH_INFO", path)
	if _, err := r.InspectPath(); err != nil {
		return err
	}
	if strings.IndexByte(path, 0) >= 0 {
		return &cgi.StatusError{Code: http.StatusBadRequest, Err: fmt.Errorf("a NUL byte in the path of HTTP_X_ORIGINAL_URL %.200q", url)}
	}
	r.Env.Set("PATH_INFO", resolveKeepingSlash(path))
	return nil
}
