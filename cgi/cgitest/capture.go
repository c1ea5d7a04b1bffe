// Package cgitest helps to test applications and gateways of the CGI family.
package cgitest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// A Capture states what is in one file of captured bytes: what a web server sent
// over one connection.
type Capture struct {
	File      string           // the name of the file of bytes
	Server    string           // the server that sent them, its version and module
	Protocol  string           // "fastcgi", "scgi" or "uwsgi"
	Bytes     int64            // the size of the file
	GetValues []string         // names that a GET_VALUES record asks for before the first request
	Requests  []CaptureRequest // in the order of their beginning; at least one
}

// A CaptureRequest states one request of a capture: first how it stands in the
// bytes, then what an application must see of it.
type CaptureRequest struct {
	// FastCGI only.
	ID          uint16
	Role        uint16
	Flags       uint8
	Params      []CaptureRecord // records with content
	ParamsEnded bool            // by an empty record
	Stdin       []CaptureRecord // records with content
	StdinEnded  bool            // by an empty record
	Aborted     bool            // by an ABORT_REQUEST

	// SCGI and uwsgi only.
	Block     int    // bytes of the netstring or of the block of variables
	Modifiers [2]int // uwsgi's modifier1 and modifier2

	// Names is the number of name-value pairs, repeated names counted each time. It
	// is 0 if the variables never ended; then no application sees the request and
	// nothing below is stated.
	Names    int
	At       []CaptureName     // names whose place among the pairs is stated
	Repeated []CaptureRepeat   // every name that is sent more than once
	Vars     []CaptureVariable // after repeated names are resolved

	// Status is the status of the gateway's own response, or 0 if an application is to
	// respond. If it is not 0, no application sees the request and nothing below is
	// stated.
	Status int

	FullPath string // decoded
	// Length is what the variables tell of the body's length, or -1 if they do not.
	Length int64
	// NoBody says that the body is empty although the variables do not tell so: a
	// decoder that looks further may report a length of 0 in the place of -1.
	NoBody bool

	Body       []byte // nil if only its digest is stated
	BodyLen    int64
	BodySHA256 string // hexadecimal, "" if Body is stated
	// Truncated says that the body ended early, so that it must not pass for whole.
	// Body, BodyLen and BodySHA256 are those of the part that came.
	Truncated bool
}

// A CaptureRecord is the size of one FastCGI record in bytes.
type CaptureRecord struct{ Content, Padding int }

// A CaptureName is a name that stands at a place, counted from 1, among the pairs.
type CaptureName struct {
	Place int
	Name  string
}

// A CaptureRepeat is a name that is sent more than once, with its values in order.
type CaptureRepeat struct {
	Name   string
	Values []string
}

// A CaptureVariable states one variable of a request.
type CaptureVariable struct {
	Name   string
	Absent bool   // it is not there; nothing else is stated
	Known  bool   // Value is stated
	Value  string // exact bytes
	Len    int    // bytes of the value if Known is false, or -1 if not stated
}

// KeepConn reports whether the request asks for the connection to be kept
// (FastCGI 1.0 § 5.1).
func (r *CaptureRequest) KeepConn() bool { return r.Flags&1 != 0 }

// CheckVariables compares the stated variables with those that lookup finds. The
// error names every variable that differs.
func (r *CaptureRequest) CheckVariables(lookup func(name string) (value string, ok bool)) error {
	var errs []error
	for _, v := range r.Vars {
		got, ok := lookup(v.Name)
		switch {
		case v.Absent && ok:
			errs = append(errs, fmt.Errorf("variable %q is there with %.200q, but was not sent", v.Name, got))
		case v.Absent:
		case !ok:
			errs = append(errs, fmt.Errorf("variable %q is not there", v.Name))
		case v.Known && got != v.Value:
			errs = append(errs, fmt.Errorf("variable %q is %.200q, want %q", v.Name, got, v.Value))
		case !v.Known && v.Len >= 0 && len(got) != v.Len:
			errs = append(errs, fmt.Errorf("variable %q has %d bytes, want %d", v.Name, len(got), v.Len))
		}
	}
	return errors.Join(errs...)
}

// CheckPairs compares the pairs, each a name and a value as they stand in the
// bytes, with their stated number, places and repeated names.
func (r *CaptureRequest) CheckPairs(pairs [][2]string) error {
	var errs []error
	if len(pairs) != r.Names {
		errs = append(errs, fmt.Errorf("%d pairs, want %d", len(pairs), r.Names))
	}
	for _, at := range r.At {
		if at.Place > len(pairs) {
			errs = append(errs, fmt.Errorf("pair %d is not there, want %q", at.Place, at.Name))
		} else if got := pairs[at.Place-1][0]; got != at.Name {
			errs = append(errs, fmt.Errorf("pair %d is %q, want %q", at.Place, got, at.Name))
		}
	}
	got := make(map[string][]string)
	for _, p := range pairs {
		got[p[0]] = append(got[p[0]], p[1])
	}
	for _, rep := range r.Repeated {
		if values := got[rep.Name]; !slices.Equal(values, rep.Values) {
			errs = append(errs, fmt.Errorf("%q has the values %.200q, want %q", rep.Name, values, rep.Values))
		}
		delete(got, rep.Name)
	}
	for name, values := range got {
		if len(values) > 1 {
			errs = append(errs, fmt.Errorf("%q is repeated with %.200q", name, values))
		}
	}
	return errors.Join(errs...)
}

// CheckBody compares body with the stated one.
func (r *CaptureRequest) CheckBody(body []byte) error {
	if int64(len(body)) != r.BodyLen {
		return fmt.Errorf("body of %d bytes, want %d", len(body), r.BodyLen)
	}
	if r.BodySHA256 == "" {
		if !bytes.Equal(body, r.Body) {
			return fmt.Errorf("body %.200q, want %q", body, r.Body)
		}
		return nil
	}
	sum := sha256.Sum256(body)
	if got := hex.EncodeToString(sum[:]); got != r.BodySHA256 {
		return fmt.Errorf("body of %d bytes has the SHA-256 %s, want %s", len(body), got, r.BodySHA256)
	}
	return nil
}

// LoadCaptures reads the file expect.txt of fsys, which states what is in the files
// of captured bytes beside it, in its order. The files themselves are not read.
//
// The file is UTF-8, one fact a line. Leading and trailing spaces and tabs, empty
// lines, and lines that begin with "#" are skipped. Strings are Go string literals.
//
//	file NAME                    begins the facts of a file
//	server="..."                 Server
//	protocol=fastcgi             Protocol
//	bytes=N                      Bytes
//	getvalues=NAME NAME          GetValues
//	request ID                   begins a request; the ID in FastCGI only
//	role=N                       Role
//	flags=N                      Flags
//	params=527+1 end             Params (content+padding) and ParamsEnded; "none" for neither
//	stdin=5+3 6+2 end            Stdin and StdinEnded
//	abort                        Aborted
//	block=N                      Block
//	modifiers=A B                Modifiers
//	names=N                      Names
//	name.N=NAME                  At
//	repeated.NAME="a" "b"        Repeated
//	NAME="value"                 Vars: with this value
//	NAME=*                       Vars: with any value
//	NAME=*N                      Vars: with a value of N bytes
//	!NAME                        Vars: absent
//	status=N                     Status
//	fullpath="..."               FullPath
//	length=N|unknown|none        Length; "none" sets NoBody
//	body="..."                   Body and BodyLen
//	body.len=N                   BodyLen
//	body.sha256=HEX              BodySHA256
//	truncated                    Truncated
//
// A NAME is A to Z, digits and "_", beginning with a letter, or a string literal.
// Any other line, a fact stated twice, out of place or left out is an error, which
// says the number of the line.
func LoadCaptures(fsys fs.FS) ([]Capture, error) {
	b, err := fs.ReadFile(fsys, expectFile)
	if err != nil {
		return nil, fmt.Errorf("cgitest: reading the facts of the captures: %w", err)
	}
	captures, err := parseExpect(string(b))
	if err != nil {
		return nil, fmt.Errorf("cgitest: %s: %w", expectFile, err)
	}
	return captures, nil
}
