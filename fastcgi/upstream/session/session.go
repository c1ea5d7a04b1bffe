// Package session lets the session handlers and the middleware of github.com/yookoala/gofast
// make requests on the connections of an upstream.App.
package session

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/yookoala/gofast"

	"gatehouse/cgi"
	"gatehouse/fastcgi/upstream"
)

// A Handler is an http.Handler that sends what a session handler of gofast makes of a request:
//
//	php := &upstream.App{Addresses: []string{"127.0.0.1:9000"}}
//	http.Handle("/", &session.Handler{App: php, Session: gofast.NewPHPFS("/srv/www")(gofast.BasicSession)})
//
// It stands in for gofast.NewHandler and its clients, in all three roles. Limits, errors and
// connections are those of the App; its Root, Translate and Env are not used. HTTP_PROXY is
// removed, CONTENT_LENGTH is the true length, a SCRIPT_FILENAME outside of DOCUMENT_ROOT is a
// 403 and one behind another file ("picture.gif/x.php") a 404, and the body and the response are held to the
// rules and the default limits of cgi.ToHTTP. The ResponsePipe that a middleware sees is
// empty: the response goes from the connection to the client.
//
// A Handler must not be copied after its first use.
type Handler struct {
	App     *upstream.App
	Session gofast.SessionHandler

	once sync.Once
	http cgi.Handler
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	h.once.Do(func() { h.http.Log = h.App.Log })
	h.http.HTTP(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := h.App.Prepare(); err != nil {
			return err
		}
		raw := hr.WithContext(r.Context())
		raw.Body = requestBody{r}
		c := &sessionClient{app: h.App, w: w, r: r, raw: raw}
		pipe, err := h.Session(c, gofast.NewRequest(raw))
		if c.done {
			return c.err
		}
		if err == nil && pipe == nil {
			err = errors.New("it has made no request")
		}
		if err != nil {
			return fmt.Errorf("session: the handler: %w", err)
		}
		return errors.New("session: the handler responds by itself, which is not passed on")
	}), cgi.Limits{}).ServeHTTP(w, hr)
}

// A requestBody is the body of a request, which can be closed while it is read.
type requestBody struct{ r *cgi.Request }

func (b requestBody) Read(p []byte) (int, error) { return b.r.Body.Read(p) }

func (b requestBody) Close() error {
	b.r.CloseBody()
	return nil
}

// A sessionClient is the gofast.Client of one request.
type sessionClient struct {
	app  *upstream.App
	w    cgi.ResponseWriter
	r    *cgi.Request
	raw  *http.Request
	done bool
	err  error // of the request
}

// Do implements gofast.Client. It returns once the response has been passed on, or has
// failed.
func (c *sessionClient) Do(gr *gofast.Request) (*gofast.ResponsePipe, error) {
	if c.done {
		return nil, errors.New("session: it makes one request")
	}
	c.done = true
	c.err = c.exchange(gr)
	pipe := gofast.NewResponsePipe()
	pipe.Close()
	return pipe, c.err
}

// Close implements gofast.Client. The connections are the App's.
func (c *sessionClient) Close() error { return nil }

// exchange makes the request.
func (c *sessionClient) exchange(gr *gofast.Request) error {
	r := *c.r
	r.Env, r.Role, r.Body, r.ContentLength = new(cgi.Environ), cgi.Role(gr.Role), http.NoBody, 0
	r.SetContext(c.r.Context())
	for name, value := range gr.Params {
		r.Env.Set(name, value)
	}
	if cookies := c.raw.Header["Cookie"]; len(cookies) > 1 && gr.Params["HTTP_COOKIE"] == strings.Join(cookies, ",") {
		r.Env.Set("HTTP_COOKIE", strings.Join(cookies, "; ")) // RFC 6265 § 4.2.1
	}
	if err := checkFile(gr.Params["DOCUMENT_ROOT"], gr.Params["SCRIPT_FILENAME"]); err != nil {
		return err
	}
	if gr.Stdin != nil {
		r.Body, r.ContentLength = gr.Stdin, r.Env.BodyLength(true)
	}
	if r.Role == cgi.Filter {
		r.Data = io.Reader(gr.Data)
	}
	return c.app.Forward(c.w, &r)
}

// checkFile returns why a file is not run that a middleware has made of a path.
func checkFile(root, file string) error {
	switch {
	case root == "" || file == "":
		return nil
	case !strings.HasPrefix(file, strings.TrimRight(root, "/")+string(filepath.Separator)):
		return &cgi.StatusError{Code: http.StatusForbidden, Err: fmt.Errorf("%s: it is outside of DOCUMENT_ROOT", file)}
	}
	if _, err := os.Stat(file); errors.Is(err, syscall.ENOTDIR) {
		return &cgi.StatusError{Code: http.StatusNotFound, Err: err}
	}
	return nil
}
