package cgitest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

const expectFile = "expect.txt"

// An expectParser holds the captures that are read so far. The last of them, and
// its last request, are still open.
type expectParser struct {
	captures []Capture
	files    map[string]bool
	stated   map[string]bool // facts of the open file or request
}

func parseExpect(text string) ([]Capture, error) {
	p := &expectParser{files: make(map[string]bool)}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := p.close(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n, err)
	}
	return p.captures, nil
}

func (p *expectParser) capture() *Capture {
	if len(p.captures) == 0 {
		return nil
	}
	return &p.captures[len(p.captures)-1]
}

// request returns the open request, or nil before the first one of a file.
func (p *expectParser) request() *CaptureRequest {
	c := p.capture()
	if c == nil || len(c.Requests) == 0 {
		return nil
	}
	return &c.Requests[len(c.Requests)-1]
}

func (p *expectParser) line(line string) error {
	if name, ok := strings.CutPrefix(line, "file "); ok {
		return p.file(name)
	}
	c := p.capture()
	if c == nil {
		return fmt.Errorf("fact %.80q before the first file", line)
	}
	if line == "request" || strings.HasPrefix(line, "request ") {
		return p.startCase(strings.TrimPrefix(strings.TrimPrefix(line, "request"), " "))
	}
	key, value, err := splitFact(line)
	if err != nil {
		return err
	}
	if p.stated[key] {
		return fmt.Errorf("fact %q is stated twice", key)
	}
	p.stated[key] = true
	if r := p.request(); r != nil {
		err = r.fact(c.Protocol, key, value)
	} else {
		err = c.fact(key, value)
	}
	if err != nil {
		return fmt.Errorf("fact %.80q: %w", line, err)
	}
	return nil
}

func (p *expectParser) file(name string) error {
	if err := p.close(); err != nil {
		return err
	}
	if !fs.ValidPath(name) {
		return fmt.Errorf("%q is no name of a file", name)
	}
	if p.files[name] {
		return fmt.Errorf("file %s is listed twice", name)
	}
	p.files[name] = true
	p.captures = append(p.captures, Capture{File: name})
	p.stated = make(map[string]bool)
	return nil
}

func (p *expectParser) startCase(id string) error {
	c := p.capture()
	if len(c.Requests) == 0 {
		if err := p.need("server", "protocol", "bytes"); err != nil {
			return err
		}
	} else if err := p.closeRequest(); err != nil {
		return err
	}
	r := CaptureRequest{Length: -1}
	if c.Protocol == "fastcgi" {
		n, err := strconv.ParseUint(id, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("request id %q is no number from 1 to 65535", id)
		}
		r.ID = uint16(n)
	} else if id != "" {
		return fmt.Errorf("request id %q in a protocol without ids", id)
	}
	c.Requests = append(c.Requests, r)
	p.stated = make(map[string]bool)
	return nil
}

func (p *expectParser) need(keys ...string) error {
	for _, k := range keys {
		if !p.stated[k] {
			return fmt.Errorf("the facts above lack %q", k)
		}
	}
	return nil
}

// close checks the open file, if there is one.
func (p *expectParser) close() error {
	c := p.capture()
	if c == nil {
		return nil
	}
	if len(c.Requests) == 0 {
		return fmt.Errorf("file %s has no request", c.File)
	}
	return p.closeRequest()
}

func (p *expectParser) closeRequest() error {
	r := p.request()
	switch p.capture().Protocol {
	case "fastcgi":
		if err := p.need("role", "flags", "params", "stdin"); err != nil {
			return err
		}
	case "uwsgi":
		if err := p.need("modifiers"); err != nil {
			return err
		}
		fallthrough
	default:
		if err := p.need("block", "names"); err != nil {
			return err
		}
	}
	app := []string{"fullpath", "length", "body", "body.len", "body.sha256", "truncated"}
	switch {
	case r.Names == 0 && (len(r.At) > 0 || len(r.Repeated) > 0 || len(r.Vars) > 0 || r.Status != 0):
		return errors.New("facts of variables without \"names\"")
	case r.Names == 0 || r.Status != 0:
		for _, k := range app {
			if p.stated[k] {
				return fmt.Errorf("fact %q of a request that no application sees", k)
			}
		}
		return nil
	case p.stated["body"] && (p.stated["body.len"] || p.stated["body.sha256"]):
		return errors.New("both the body and its digest are stated")
	case p.stated["body"]:
		return p.need("fullpath", "length")
	}
	return p.need("fullpath", "length", "body.len", "body.sha256")
}

func (c *Capture) fact(key, value string) (err error) {
	switch key {
	case "server":
		c.Server, err = strconv.Unquote(value)
	case "protocol":
		if value != "fastcgi" && value != "scgi" && value != "uwsgi" {
			return errors.New("protocols are fastcgi, scgi and uwsgi")
		}
		c.Protocol = value
	case "bytes":
		c.Bytes, err = parseSize(value)
	case "getvalues":
		if c.GetValues = strings.Fields(value); len(c.GetValues) == 0 {
			return errors.New("no names")
		}
	default:
		return errors.New("unknown fact of a file")
	}
	return err
}

// fact takes a fact of a request. Facts of the bytes belong to one protocol.
func (r *CaptureRequest) fact(protocol, key, value string) (err error) {
	var n int64
	switch key {
	case "role", "flags", "params", "stdin", "abort":
		if protocol != "fastcgi" {
			return errors.New("a fact of FastCGI")
		}
	case "block":
		if protocol == "fastcgi" {
			return errors.New("a fact of SCGI and uwsgi")
		}
	case "modifiers":
		if protocol != "uwsgi" {
			return errors.New("a fact of uwsgi")
		}
	}
	switch key {
	case "role":
		var u uint64
		u, err = strconv.ParseUint(value, 10, 16)
		r.Role = uint16(u)
	case "flags":
		var u uint64
		u, err = strconv.ParseUint(value, 10, 8)
		r.Flags = uint8(u)
	case "params":
		r.Params, r.ParamsEnded, err = parseRecords(value)
	case "stdin":
		r.Stdin, r.StdinEnded, err = parseRecords(value)
	case "abort":
		r.Aborted, err = true, wantNoValue(value)
	case "block":
		n, err = parseSize(value)
		r.Block = int(n)
	case "modifiers":
		f := strings.Fields(value)
		if len(f) != 2 {
			return errors.New("want two numbers")
		}
		for i := range f {
			var u uint64
			if u, err = strconv.ParseUint(f[i], 10, 8); err != nil {
				return err
			}
			r.Modifiers[i] = int(u)
		}
	case "names":
		if n, err = parseSize(value); err == nil && n == 0 {
			return errors.New("no names: leave the fact out")
		}
		r.Names = int(n)
	case "status":
		if len(value) != 3 {
			return errors.New("a status has three digits")
		}
		r.Status, err = strconv.Atoi(value)
	case "fullpath":
		r.FullPath, err = strconv.Unquote(value)
	case "length":
		switch value {
		case "unknown":
		case "none":
			r.NoBody = true
		default:
			r.Length, err = parseSize(value)
		}
	case "body":
		var s string
		s, err = strconv.Unquote(value)
		r.Body, r.BodyLen = []byte(s), int64(len(s))
	case "body.len":
		r.BodyLen, err = parseSize(value)
	case "body.sha256":
		if b, herr := hex.DecodeString(value); herr != nil || len(b) != 32 || strings.ToLower(value) != value {
			return errors.New("want 64 digits, 0 to 9 and a to f")
		}
		r.BodySHA256 = value
	case "truncated":
		r.Truncated, err = true, wantNoValue(value)
	default:
		return r.variable(key, value)
	}
	return err
}

// variable takes the facts whose key holds the name of a variable.
func (r *CaptureRequest) variable(key, value string) error {
	if place, ok := strings.CutPrefix(key, "name."); ok {
		n, err := parseSize(place)
		if err != nil || n == 0 {
			return errors.New("places are counted from 1")
		}
		name, err := parseName(value)
		r.At = append(r.At, CaptureName{int(n), name})
		return err
	}
	if name, ok := strings.CutPrefix(key, "repeated."); ok {
		name, err := parseName(name)
		if err != nil {
			return err
		}
		values, err := parseStrings(value)
		if err == nil && len(values) < 2 {
			err = errors.New("want at least two values")
		}
		r.Repeated = append(r.Repeated, CaptureRepeat{name, values})
		return err
	}
	name, err := parseName(key)
	if err != nil {
		return errors.New("unknown fact of a request")
	}
	v := CaptureVariable{Name: name, Len: -1}
	switch {
	case value == absent:
		v.Absent = true
	case value == "*":
	case strings.HasPrefix(value, "*"):
		n, err := parseSize(value[1:])
		if err != nil {
			return err
		}
		v.Len = int(n)
	default:
		if v.Value, err = strconv.Unquote(value); err != nil {
			return errors.New("the value is no string literal, \"*\" or \"*\" and a number")
		}
		v.Known, v.Len = true, len(v.Value)
	}
	r.Vars = append(r.Vars, v)
	return nil
}
