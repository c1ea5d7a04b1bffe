package httpcgi

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/internal/frontend"
)

// A Handler is an http.Handler that runs a CGI program for each request. Path is required.
//
// The fields must not be changed once requests are served, and a Handler must not be copied
// then. One that serves all requests bounds how many programs run at once (Limits.Programs);
// one that is made for each request knows of no others.
//
// The first request marks all descriptors of this process but the first three close-on-exec.
//
// A program that cannot run because Path is wrong is a 500, one that gives no proper head a
// 502, one that is too slow a 504, and more of them than the limits allow are 503: see
// [script.App.ServeCGI]. A response that breaks off makes ServeHTTP panic with [http.ErrAbortHandler], so that the
// http.Server closes the connection, and the client does not take a part for the whole. Where
// no http.Server runs the Handler, it only logs that.
type Handler struct {
	// Path is the program. If it is relative, it is below Dir, or the current directory.
	Path string

	// Root is the prefix of the URL at which the program is mounted, "" for "/". It becomes
	// SCRIPT_NAME, and what follows it PATH_INFO. A path that is not below Root is PATH_INFO
	// as a whole.
	Root string

	// Dir is the directory that the program starts in. If it is empty, that is the
	// program's own.
	Dir string

	// Env holds further variables, as "NAME=VALUE". They override those of the request, and
	// what is inherited; of two with one name the last counts.
	Env []string

	// InheritEnv names what the program gets from the environment of this process, as of the
	// first request. It always gets PATH, and what the system needs to load programs
	// (LD_LIBRARY_PATH, DYLD_LIBRARY_PATH, SystemRoot and so on). What is empty is left out.
	InheritEnv []string

	// Logger gets a line for each failed request. If nil, it is slog.Default(), which writes
	// to the standard logger unless it was changed.
	Logger *log.Logger

	// Args are the arguments of the program.
	Args []string

	// Stderr gets what programs write to stderr, unchanged, up to Limits.StderrBytes of each.
	// It must be safe for concurrent writes. If nil, it is os.Stderr.
	Stderr io.Writer

	// PathLocationHandler, if not nil, responds to local redirects: a response that is
	// nothing but a Location with a path (RFC 3875 § 6.2.2). It gets a GET request without a
	// body, with the header fields, the context, RemoteAddr and TLS of the first one. More
	// than 10 redirects in a row are a 500. If nil, the client gets a 302, as it does for
	// every Location that has other fields beside it.
	PathLocationHandler http.Handler

	// Limits bound what the programs take, and RequestLimits what clients send and how slowly
	// (see [cgi.Handler.HTTP]). The zero values have the defaults.
	Limits        script.Limits
	RequestLimits cgi.Limits

	once     sync.Once
	programs *script.App
	handler  *cgi.Handler
	err      error // of the fields
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.init)
	if r.Context().Value(http.ServerContextKey) == nil {
		defer catchAbort()
	}
	x := &exchange{h: h, request: r}
	var app cgi.App = x
	if h.PathLocationHandler != nil {
		app = &cgi.Redirector{App: x}
	}
	h.handler.HTTP(app, h.RequestLimits).ServeHTTP(w, r)
}

// Close ends all programs and waits until they have been reaped. Later requests get 503. A
// Handler that has no programs running need not be closed.
func (h *Handler) Close() error {
	h.once.Do(h.init)
	return h.programs.Close()
}

// catchAbort ends the panic of a response that breaks off. Who calls ServeHTTP without a
// http.Server does not expect it.
func catchAbort() {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		panic(p)
	}
}

func (h *Handler) init() {
	logger := frontend.Log(nil, h.Logger)
	path, dir, err := h.paths()
	h.err = err
	h.handler = &cgi.Handler{Log: logger}
	h.programs = &script.App{
		Roots:             []string{path},
		Dir:               dir,
		Args:              h.Args,
		Env:               append(h.inherited(), h.Env...),
		Inherit:           []string{},
		PassAuthorization: true,
		Stderr:            h.Stderr,
		LocalRedirect:     cgi.RedirectClient,
		Limits:            h.Limits,
		Log:               logger,
	}
	if h.Stderr == nil {
		h.programs.Stderr = os.Stderr
	}
	if h.PathLocationHandler != nil {
		h.programs.LocalRedirect = cgi.RedirectInternal
	}
}

// paths returns Path and Dir, absolute.
func (h *Handler) paths() (path, dir string, err error) {
	if h.Path == "" {
		return "", "", errors.New("httpcgi: the Handler has no Path: set it to the CGI program")
	}
	if path, err = filepath.Abs(h.Path); err != nil || h.Dir == "" {
		return path, "", err
	}
	if dir, err = filepath.Abs(h.Dir); err == nil && !filepath.IsAbs(h.Path) {
		path = filepath.Join(dir, h.Path)
	}
	return path, dir, err
}

// check returns why the program cannot run, as far as Path tells. A directory would be one of
// programs to package script.
func (h *Handler) check() error {
	if h.err != nil {
		return h.err
	}
	path := h.programs.Roots[0]
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("httpcgi: Path: %w", err)
	case info.IsDir():
		return fmt.Errorf("httpcgi: Path: %s is a directory: a Handler runs one program, script.App those of a directory", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("httpcgi: Path: %s is no regular file", path)
	case info.Mode()&0o111 == 0 && runtime.GOOS != "windows":
		return fmt.Errorf("httpcgi: Path: %s is not executable: chmod +x %[1]s", path)
	}
	return nil
}

// defaultPath is the PATH of programs where this process has none.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// inherited returns what the program gets from this process, as "NAME=VALUE".
func (h *Handler) inherited() []string {
	path := os.Getenv("PATH")
	if path == "" && runtime.GOOS != "windows" {
		path = defaultPath
	}
	vars := []string{"PATH=" + path}
	for _, names := range [][]string{h.InheritEnv, loaderNames()} {
		for _, name := range names {
			if v := os.Getenv(name); v != "" && !strings.Contains(name, "=") {
				vars = append(vars, name+"="+v)
			}
		}
	}
	return vars
}

// loaderNames are the variables without which programs of this system may not start.
func loaderNames() []string {
	switch runtime.GOOS {
	case "windows":
		return []string{"SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "TEMP", "TMP", "windir"}
	case "darwin", "ios":
		return []string{"DYLD_LIBRARY_PATH"}
	}
	return []string{"LD_LIBRARY_PATH"}
}
