package upstream

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
	"gatehouse/internal/backend"
)

// A Session is an http.Handler that sends what a handler of github.com/yookoala/gofast makes
// of a request, on the connections of an App:
//
//	php := &upstream.App{Addresses: []string{"127.0.0.1:9000"}}
//	http.Handle("/", &upstream.Session{App: php, Handler: gofast.NewPHPFS("/srv/www")(gofast.BasicSession)})
//
// It stands in for gofast.NewHandler and its clients, in all three roles. Limits, errors and
// connections are those of the App; its Root, Translate and Env are not used. HTTP_PROXY is
// removed, CONTENT_LENGTH is the true length, a SCRIPT_FILENAME outside of DOCUMENT_ROOT is a
// 403 and one behind another file ("picture.gif/x.php") a 404, and the body and the response are held to the
// rules and the default limits of cgi.ToHTTP. The ResponsePipe that a middleware sees is
// empty: the response goes from the connection to the client.
//
// A Session must not be copied after its first use.
type Session struct {
	App     *App
	Handler gofast.SessionHandler

	once sync.Once
	http cgi.Handler
}

// ServeHTTP implements http.Handler.
func (s *Session) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	s.once.Do(func() { s.http.Log = s.App.Log })
	s.http.HTTP(cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		if err := s.App.Prepare(); err != nil {
			return err
		}
		raw := hr.WithContext(r.Context())
		raw.Body = requestBody{r}
		c := &sessionClient{app: s.App, w: w, r: r, raw: raw}
		pipe, err := s.Handler(c, gofast.NewRequest(raw))
		if c.done {
			return c.err
		}
		if err == nil && pipe == nil {
			err = errors.New("it has made no request")
		}
		if err != nil {
			return fmt.Errorf("upstream: the session handler: %w", err)
		}
		return errors.New("upstream: the session handler responds by itself, which a Session does not pass on")
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
	app  *App
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
		return nil, errors.New("upstream: a session makes one request")
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
	p := &passage{params: params{app: new(App), env: r.Env}}
	if r.Role != cgi.Authorizer {
		var err error
		if p.body, err = backend.TakeBody(&r, c.app.pool.Limits.Spool); err != nil {
			return err
		}
		p.params.setLength(p.body.Length)
	}
	if r.Role == cgi.Filter {
		r.Data = io.Reader(gr.Data)
	}
	return c.app.exchange(c.w, &r, p)
}

// checkFile returns why a file is not run that a middleware has made of a path.
func checkFile(root, file string) error {
	switch {
	case root == "" || file == "":
		return nil
	case !strings.HasPrefix(file, strings.TrimRight(root, "/")+string(filepath.Separator)):
		return refusedPath(http.StatusForbidden, file, errors.New("it is outside of DOCUMENT_ROOT"))
	}
	if _, err := os.Stat(file); errors.Is(err, syscall.ENOTDIR) {
		return refusedPath(http.StatusNotFound, file, err)
	}
	return nil
}
