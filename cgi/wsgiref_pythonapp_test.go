//go:build linux

package cgi_test

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"gatehouse/cgi"
	"gatehouse/internal/testkit"
)

// A told is an application that does what it is told, in steps; testdata/wsgiref.py
// has the same.
type told struct {
	call []step // when it is called
	body toldBody
}

type toldBody struct {
	kind       string // "list" says how many blocks it has, "iterator", "generator", "file"
	count      int    // what a list says
	steps      []step
	data       string // of a file
	block      int    // likewise
	closeFails bool
}

// A step is what an application does next.
type step struct {
	what string // "start", "write", "yield", "change", "fail" or "panic"
	data string // to write or yield

	status string
	fields []cgi.Field
	cause  bool // start has a cause
	caught bool // the application goes on after start has failed
}

var (
	errTold    = errors.New("told to")
	errCause   = errors.New("cause")
	errClosing = errors.New("closing")
)

// A performance is a told at work.
type performance struct {
	*told
	begin        cgi.StartResponse
	write        cgi.WriteFunc
	given        []cgi.Field // to start
	made, closed int         // bodies
}

// app is the application.
func (p *performance) app(_ *cgi.Environ, start cgi.StartResponse) (cgi.Body, error) {
	p.begin = start
	for _, s := range p.call {
		if err := p.do(s); err != nil {
			return nil, err
		}
	}
	p.made++
	switch p.body.kind {
	case "file":
		return &cgi.File{R: closingFile{strings.NewReader(p.body.data), p}, BlockSize: p.body.block}, nil
	case "generator":
		return closingBody{cgi.Seq(p.generate), p}, nil
	}
	return &stepBody{performance: p, steps: p.body.steps}, nil
}

func (p *performance) do(s step) error {
	switch s.what {
	case "start":
		var cause error
		if s.cause {
			cause = errCause
		}
		p.given = append([]cgi.Field(nil), s.fields...)
		write, err := p.begin(s.status, p.given, cause)
		if err == nil {
			p.write = write
		} else if !s.caught {
			return err
		}
	case "change":
		for i := range p.given {
			p.given[i].Value = "changed\r\n"
		}
	case "write":
		if p.write != nil {
			return p.write([]byte(s.data))
		}
		if s.data != "" {
			return errTold // it has not been told to start
		}
	case "fail":
		return errTold
	case "panic":
		panic(errTold)
	}
	return nil
}

func (p *performance) generate(yield func([]byte, error) bool) {
	for _, s := range p.body.steps {
		if s.what == "yield" {
			if !yield([]byte(s.data), nil) {
				return
			}
		} else if err := p.do(s); err != nil {
			yield(nil, err)
			return
		}
	}
}

func (p *performance) Close() error {
	p.closed++
	if p.body.closeFails {
		return errClosing
	}
	return nil
}

// A stepBody yields its last block together with io.EOF.
type stepBody struct {
	*performance
	steps []step
}

func (b *stepBody) Next() ([]byte, error) {
	for len(b.steps) > 0 {
		s := b.steps[0]
		b.steps = b.steps[1:]
		if s.what != "yield" {
			if err := b.do(s); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		if len(b.steps) == 0 {
			err = io.EOF
		}
		return []byte(s.data), err
	}
	return nil, io.EOF
}

func (b *stepBody) Len() int {
	if b.body.kind == "list" {
		return b.body.count
	}
	return -1
}

type closingBody struct {
	cgi.Body
	performance *performance
}

func (b closingBody) Close() error { return errors.Join(b.Body.Close(), b.performance.Close()) }

type closingFile struct {
	io.Reader
	performance *performance
}

func (f closingFile) Close() error { return f.performance.Close() }

// forPython returns what wsgiref's application is told, so that it does what ours
// does, and counts the differences for which that is something else.
func (m *maker) forPython(a *told) map[string]any {
	body := map[string]any{"kind": a.body.kind, "count": a.body.count, "steps": m.stepsForPython(a.body.steps),
		"data": testkit.Latin1(a.body.data), "block": a.body.block, "close_fails": a.body.closeFails}
	return map[string]any{"call": m.stepsForPython(a.call), "body": body}
}

func (m *maker) stepsForPython(steps []step) [][]any {
	list := [][]any{}
	for _, s := range steps {
		switch s.what {
		case "start":
			fields, refused := m.headForPython(s)
			list = append(list, []any{"start", testkit.Latin1(s.status), fields, s.cause, s.caught, refused})
		case "write", "yield":
			if s.data == "" {
				m.differs[differsEmpty]++
			} else {
				list = append(list, []any{s.what, testkit.Latin1(s.data)})
			}
		case "change":
			m.differs[differsAlias]++
		default:
			list = append(list, []any{"fail"})
		}
	}
	return list
}

// headForPython returns the fields as ours takes them, and whether ours refuses the
// head though wsgiref would not.
func (m *maker) headForPython(s step) (fields [][2]string, refused bool) {
	fields = [][2]string{}
	why := func(difference string) {
		m.differs[difference]++
		refused = true
	}
	if pythonTakes(s.status) {
		switch {
		case hasControl(s.status, ""):
			why(differsStatusText)
		case s.status[0] == '0' || s.status[0] == '1':
			why(differsFinal)
		case strings.ContainsAny(testkit.Latin1(s.status[:3]), superscripts):
			why(differsDigits)
		}
	}
	length := ""
	for _, f := range s.fields {
		for _, d := range refusals(f.Name, f.Value, nil) {
			why(d)
		}
		value := strings.Trim(f.Value, " \t")
		if value != f.Value {
			m.differs[differsTrim]++
		}
		switch {
		case cgi.IsHopByHop(f.Name), strings.EqualFold(f.Name, "Trailer"), strings.EqualFold(f.Name, "Proxy-Connection"):
			m.differs[differsConnection]++
			continue
		case strings.EqualFold(f.Name, "Content-Length"):
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || length != "" && length != strconv.FormatUint(n, 10) {
				why(differsLength)
			} else if length != "" {
				m.differs[differsLengths]++
				continue
			}
			length = strconv.FormatUint(n, 10)
		}
		fields = append(fields, [2]string{testkit.Latin1(f.Name), testkit.Latin1(value)})
	}
	return fields, refused
}

// pythonTakes reports whether start_response lets a status of ISO 8859-1 pass.
func pythonTakes(status string) bool {
	if len(status) < 4 || status[3] != ' ' {
		return false
	}
	return strings.Trim(testkit.Latin1(status[:3]), "0123456789"+superscripts) == ""
}

// superscripts are the characters of ISO 8859-1 that are digits to Python, but not to
// anybody else.
const superscripts = "\u00b2\u00b3\u00b9"
