package upstream

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"

	"gatehouse/cgi"
)

// params are the variables of a request, as the application gets them.
type params struct {
	app  *App
	env  *cgi.Environ
	role cgi.Role
	own  []setting // in place of those of env
	few  [11]setting
	file string // SCRIPT_FILENAME, once it has been sent
}

// A setting is a variable that this package settles. Without a value that was set, the
// application gets none.
type setting struct {
	name, value string
	unset       bool
}

// settle settles what is sent for r. The error is that of a request for which there is no
// file.
func (p *params) settle(r *cgi.Request) error {
	a := p.app
	p.own = p.few[:0]
	if r.Role == cgi.Authorizer {
		for _, name := range notForAuthorizers {
			p.own = append(p.own, setting{name: name, unset: true})
		}
	} else if a.Root != "" {
		f, err := a.find(r)
		if err != nil {
			return err
		}
		p.own = append(p.own, setting{name: "DOCUMENT_ROOT", value: f.root}, setting{name: "SCRIPT_FILENAME", value: f.path},
			setting{name: "SCRIPT_NAME", value: f.scriptName}, setting{name: "PATH_INFO", value: f.pathInfo, unset: f.pathInfo == ""},
			setting{name: "PATH_TRANSLATED", value: f.root + f.pathInfo, unset: f.pathInfo == ""})
		if r.Env.Get("REDIRECT_STATUS") == "" { // php-cgi refuses to serve without
			p.own = append(p.own, setting{name: "REDIRECT_STATUS", value: "200"})
		}
	} else if _, sent := r.Env.Lookup("SCRIPT_FILENAME"); sent {
		name, info, has := r.SentPath()
		p.own = append(p.own, setting{name: "SCRIPT_NAME", value: name}, setting{name: "PATH_INFO", value: info, unset: !has})
	}
	if r.Env.Get("SERVER_NAME") == "" || r.Env.Get("SERVER_PORT") == "" {
		name, port := r.Env.Server()
		p.own = append(p.own, setting{name: "SERVER_NAME", value: name}, setting{name: "SERVER_PORT", value: port})
	}
	if id := r.RequestID(); id != "" {
		p.own = append(p.own, setting{name: "REQUEST_ID", value: id})
	}
	for _, v := range a.Env {
		name, value, _ := strings.Cut(v, "=")
		p.set(setting{name: name, value: value})
	}
	return nil
}

// notForAuthorizers are the variables that describe what an Authorizer is not asked for
// (FastCGI 1.0 § 6.3).
var notForAuthorizers = []string{"CONTENT_LENGTH", "PATH_INFO", "PATH_TRANSLATED", "SCRIPT_NAME"}

func (p *params) set(s setting) {
	if old := p.find(s.name); old != nil {
		*old = s
	} else {
		p.own = append(p.own, s)
	}
}

func (p *params) find(name string) *setting {
	for i := range p.own {
		if p.own[i].name == name {
			return &p.own[i]
		}
	}
	return nil
}

// setLength sets the true length of the body, unless none was sent, and none is needed.
func (p *params) setLength(n int64) {
	if n > 0 || p.env.Get("CONTENT_LENGTH") != "" {
		p.set(setting{name: "CONTENT_LENGTH", value: strconv.FormatInt(n, 10)})
	}
}

// all yields the variables.
func (p *params) all(yield func(name, value string) bool) {
	for name, value := range p.env.All() {
		if p.find(name) == nil && !refused(name) && !p.yield(yield, name, value) {
			return
		}
	}
	for i := range p.own {
		if s := &p.own[i]; !s.unset && !p.yield(yield, s.name, s.value) {
			return
		}
	}
}

func (p *params) yield(yield func(name, value string) bool, name, value string) bool {
	switch name {
	case "SCRIPT_FILENAME":
		value = p.app.translate(value)
		p.file = value
	case "DOCUMENT_ROOT", "PATH_TRANSLATED":
		value = p.app.translate(value)
	}
	return yield(name, value)
}

// refused reports whether a variable that the web server sent does not reach the
// application: HTTP_PROXY is the header "Proxy", which libraries take for configuration;
// HTTP_REDIRECT_STATUS is taken for REDIRECT_STATUS.
func refused(name string) bool {
	switch len(name) {
	case len("HTTP_PROXY"):
		return strings.EqualFold(name, "HTTP_PROXY")
	case len("HTTP_REDIRECT_STATUS"):
		return name == "HTTP_REDIRECT_STATUS"
	}
	return false
}

// stderr takes what the application writes to STDERR to Request.Stderr.
type stderr struct {
	app     *App
	request *cgi.Request
	params  *params
	left    int // bytes that are passed on
	unknown bool

	explained bool
}

// primaryScript is what php-fpm says of a file that it does not find.
const primaryScript = "Primary script unknown"

// explain logs what is behind the first line that can be explained. A line is one that comes whole.
func (s *stderr) explain(b []byte) {
	if s.app.Explain == nil || s.explained {
		return
	}
	for line := range bytes.Lines(b) {
		line = bytes.TrimRight(line, "\r\n")
		if reason := s.app.Explain(string(line)); reason != "" {
			s.explained = true
			s.app.log().LogAttrs(context.Background(), slog.LevelWarn, "the sandbox of the unit is behind what the application says",
				s.request.LogAttr(), slog.String("line", string(line)), slog.String("sandbox", reason))
			return
		}
	}
}

// Write implements io.Writer.
func (s *stderr) Write(b []byte) (int, error) {
	if s.request.Stderr != nil {
		s.request.Stderr.Write(b[:min(len(b), s.left)])
	}
	s.explain(b[:min(len(b), s.left)])
	s.left -= min(len(b), s.left)
	if !s.unknown && bytes.Contains(b, []byte(primaryScript)) {
		s.unknown = true
		s.app.log().LogAttrs(context.Background(), slog.LevelWarn, "the application does not find the file that was sent as SCRIPT_FILENAME",
			s.request.LogAttr(), slog.String("file", s.params.file),
			slog.String("remedy", "if the application sees it in another place, in a chroot or a container, let translate say where; if not, see whether its user may read it"))
	}
	return len(b), nil
}
