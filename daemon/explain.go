package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/cgi/script"
	"gatehouse/fastcgi/upstream"
	"gatehouse/systemd/sandbox"
)

// A Question is a request to explain.
type Question struct {
	Target string   // a URL, or its path
	Front  Front    // the web server that sends it; if empty, FrontNginx
	Params []string // variables that add to or replace those of Front, as "NAME=VALUE"

	// Sandbox is that of the daemon; nil if this process has the same.
	Sandbox *sandbox.Sandbox
}

// An Answer says what a daemon would do with a request.
type Answer struct {
	Target string    `json:"target"`
	User   string    `json:"user"`               // the user as whom everything was looked up
	Sent   []string  `json:"sent"`               // the variables of the request, as "NAME=VALUE"
	App    string    `json:"app,omitempty"`      // the application, in the form of a configuration; empty if there is none
	Prefix string    `json:"prefix"`             // where the application is mounted
	Place  string    `json:"place"`              // where the application is configured
	Client string    `json:"client,omitempty"`   // over HTTP, the address of the client, and what has decided that
	Scheme string    `json:"scheme,omitempty"`   // the scheme, and what has decided that
	Warn   []string  `json:"warnings,omitempty"` // what is hardly meant in the configuration
	Runs   bool      `json:"runs"`               // whether the request would be served
	Notes  []string  `json:"notes,omitempty"`    // what the log would say about the web server, and what else may matter
	Steps  []Step    `json:"steps"`              // the paths tried, in order
	Fault  *Fault    `json:"fault"`              // what is wrong, or null
	Args   []string  `json:"args"`               // the program and its arguments
	Dir    string    `json:"dir"`                // the program's working directory
	Env    []string  `json:"env"`                // the program's environment, as "NAME=VALUE"
	Left   []LeftOut `json:"left,omitempty"`     // the variables that the program would not get
	Twice  []LeftOut `json:"twice,omitempty"`    // the variables sent with two values, of which the program gets one
}

// A Step is a path that was tried.
type Step struct {
	From  string       `json:"from"` // the variable or root it comes from
	Path  string       `json:"path"`
	Check script.Check `json:"check,omitempty"` // the check that failed
	Note  string       `json:"note,omitempty"`
}

// A Fault is the reason why a request would not be served.
type Fault struct {
	Check  script.Check `json:"check,omitempty"`
	Named  string       `json:"named,omitempty"` // the variable that named the path
	Path   string       `json:"path,omitempty"`
	Detail string       `json:"detail"`
	Remedy string       `json:"remedy,omitempty"`
	Status int          `json:"status"`
	Line   string       `json:"line"` // the error as logged
}

// A LeftOut is a variable of which a value does not reach a program.
type LeftOut struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Explain says what a daemon with this configuration would do with a request, without
// running anything. Everything is looked up with the privileges of this process, which
// should be those of the daemon. The error is about the configuration or the question.
func (c Config) Explain(q Question) (answer *Answer, err error) {
	warnings := c.Warnings()
	c = c.Defaults()
	apps, closeApps, err := prepare(c.Apps, preparation{sandbox: q.Sandbox, log: slog.New(slog.DiscardHandler)})
	defer func() { err = errors.Join(err, closeApps()) }()
	if err != nil {
		return nil, err
	}
	a := &Answer{Target: q.Target, User: thisUser(), Warn: warnings}
	env, paths, err := c.sent(q, a)
	if err != nil || a.Fault != nil {
		return a, err
	}
	a.Sent = env.Strings()
	if _, sent := env.Lookup("HTTP_PROXY"); sent {
		env.Del("HTTP_PROXY") // as cgi.Handler does
		a.Left = append(a.Left, LeftOut{"HTTP_PROXY", "libraries take it for the configuration of a proxy"})
	}
	r := &cgi.Request{Env: env, Body: http.NoBody, Paths: paths}
	r.ContentLength, _ = strconv.ParseInt(env.Get("CONTENT_LENGTH"), 10, 64)
	advice, err := r.InspectPath()
	if advice != "" {
		a.Notes = append(a.Notes, advice)
	}
	var se *cgi.StatusError
	if errors.As(err, &se) {
		a.Fault = &Fault{Detail: se.Err.Error(), Status: se.Code, Line: se.Err.Error()}
		return a, nil
	}
	if c.Ping != "" && r.FullPath() == c.Ping {
		a.App, a.Prefix, a.Place, a.Runs = fmt.Sprintf("ping = %q", c.Ping), c.Ping, c.File, true
		return a, nil
	}
	var mux cgi.Mux
	for i, app := range c.Apps {
		if app.Kind.traits().authorizer {
			continue
		}
		if err := mux.Mount(app.Prefix, cgi.AppFunc(func(_ cgi.ResponseWriter, r *cgi.Request) error {
			a.Prefix, a.Place, a.App = app.Prefix, app.place(), app.Kind.configured()
			return a.explain(apps[i], r)
		})); err != nil {
			return nil, err
		}
	}
	err = mux.ServeCGI(nil, r)
	if errors.As(err, &se) { // no application is mounted there
		a.Fault = &Fault{Detail: se.Err.Error(), Status: se.Code, Line: se.Err.Error()}
		if errors.Is(err, cgi.ErrNoVariables) {
			return a, nil
		}
		a.Fault.Remedy = "mount one there (prefix), or make the web server pass the request elsewhere"
		return a, nil
	}
	return a, err
}

// sent returns the variables of the request, and how its path is to be read.
func (c *Config) sent(q Question, a *Answer) (env *cgi.Environ, paths cgi.PathPolicy, err error) {
	if q.Front == FrontProxy {
		env, err = c.proxied(q, a)
		return env, cgi.PathKeep, err
	}
	if env, err = q.Front.Variables(q.Target); err == nil {
		err = SetParams(env, q.Params)
	}
	if err != nil {
		return nil, 0, err
	}
	a.Scheme = schemeSent(env)
	if _, sent := env.Lookup("HTTP_X_FORWARDED_PROTO"); sent {
		a.Notes = append(a.Notes, "X-Forwarded-Proto does not count: over FastCGI and SCGI, the web server itself says the scheme, by HTTPS or REQUEST_SCHEME")
	}
	return env, c.Paths, nil
}

// schemeSent says which variable of the web server has decided the scheme.
func schemeSent(env *cgi.Environ) string {
	scheme, variable := "http", env.SchemeVariable()
	if env.IsHTTPS() {
		scheme = "https"
	}
	if variable == "" {
		return scheme + " (the web server sends neither HTTPS nor REQUEST_SCHEME)"
	}
	return fmt.Sprintf("%s (%s of the web server is %q)", scheme, variable, env.Get(variable))
}

// An explainer is an application that can say what it would do.
type explainer interface {
	Explain(*cgi.Request) (*script.Explanation, error)
}

// explain adds what app would do with the request.
func (a *Answer) explain(app cgi.App, r *cgi.Request) error {
	if g, ok := app.(*upstream.Guard); ok {
		a.Notes = append(a.Notes, "an authorizer is asked first")
		app = g.App
	}
	x, ok := app.(explainer)
	if !ok {
		a.Runs = true
		return nil
	}
	e, err := x.Explain(r)
	if err != nil {
		return err
	}
	for _, step := range e.Steps {
		a.Steps = append(a.Steps, Step(step))
	}
	if f := e.Finding; f != nil {
		a.Fault = &Fault{f.Check, f.Named, f.Path, f.Detail, f.Remedy, f.Code, f.Error()}
	}
	a.Notes = append(a.Notes, e.Notes...)
	a.Runs = e.Finding == nil
	a.Args, a.Dir, a.Env = e.Args, e.Dir, e.Env
	for _, v := range e.Dropped {
		a.Left = append(a.Left, LeftOut(v))
	}
	for _, v := range e.Twice {
		a.Twice = append(a.Twice, LeftOut(v))
	}
	return nil
}

// WriteJSON writes the answer as an object.
func (a *Answer) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(a)
}

// WriteText writes the answer for people.
func (a *Answer) WriteText(w io.Writer) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("request", "%s", shown(a.Target))
	if a.Client != "" {
		row("client", "%s", shown(a.Client))
	}
	if a.Scheme != "" {
		row("scheme", "%s", shown(a.Scheme))
	}
	if a.App == "" {
		row("application", "none")
	} else {
		row("application", "%s at %s (%s)", a.App, a.Prefix, a.Place)
	}
	for _, note := range a.Notes {
		row("note", "%s", shown(note))
	}
	for _, line := range a.Warn {
		row("warning", "%s", shown(line))
	}
	for _, s := range a.Steps {
		result := "found"
		if s.Check != "" {
			result = string(s.Check)
		}
		if s.Note != "" {
			result += ": " + s.Note
		}
		row("tried", "%s, by %s: %s", shown(s.Path), s.From, result)
	}
	switch {
	case a.Fault != nil:
		row("fault", "%s", shown(a.Fault.where()+a.Fault.Detail))
		if a.Fault.Remedy != "" {
			row("remedy", "%s", shown(a.Fault.Remedy))
		}
		row("status", "%d %s", a.Fault.Status, http.StatusText(a.Fault.Status))
	case len(a.Args) > 0:
		row("result", "it would run as %s", a.User)
	default:
		row("result", "it would be served by gatehouse itself")
	}
	list := func(title string, vars []string) {
		if len(vars) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, v := range vars {
			fmt.Fprintf(&b, "    %s\n", shown(v))
		}
	}
	if a.Client != "" {
		list("The variables of the request:", a.Sent)
	} else {
		list("The web server sends:", a.Sent)
	}
	reasons := func(vars []LeftOut) (lines []string) {
		for _, v := range vars {
			lines = append(lines, v.Name+": "+v.Reason)
		}
		return lines
	}
	list("The program does not get:", reasons(a.Left))
	list("Sent twice, with two values:", reasons(a.Twice))
	list("Its arguments:", a.Args)
	if a.Dir != "" {
		list("It starts in:", []string{a.Dir})
	}
	list("Its environment:", a.Env)
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Fault) where() string {
	switch {
	case f.Path == "" && f.Named == "":
		return ""
	case f.Path == "":
		return f.Named + " "
	case f.Named == "":
		return f.Path + ": "
	}
	return f.Named + " " + f.Path + ": "
}

// shown returns s on one line, without characters that could control a terminal.
func shown(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' || !strconv.IsPrint(c) }) {
		return strconv.Quote(s)
	}
	return s
}
