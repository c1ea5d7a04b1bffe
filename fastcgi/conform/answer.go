package conform

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/fastcgi/record"
)

// maxKept is how many bytes of an answer, or of a management record, are kept.
const maxKept = 64 << 10

// An answer is what came for one request id. A nil answer is that nothing came.
type answer struct {
	stdout    []byte // the first maxKept bytes
	size      int64  // all bytes of STDOUT
	records   int    // STDOUT records with content
	first     bool   // the first STDOUT record was empty
	closed    bool   // STDOUT was ended by an empty record
	after     bool   // and more of it came
	errSize   int64  // bytes of STDERR
	errRecord bool   // a STDERR record came
	errClosed bool   // STDERR was ended
	ends      int    // END_REQUEST records
	endLen    int    // the body of the first
	end       record.End
	late      int // records after END_REQUEST
}

func (a *answer) ended() bool { return a != nil && a.ends > 0 }

// add adds a record.
func (a *answer) add(typ record.Type, content []byte) {
	if a.ends > 0 {
		a.late++
	}
	switch typ {
	case record.Stdout:
		switch {
		case a.closed:
			a.after = true
		case len(content) == 0:
			a.closed, a.first = true, a.records == 0
		default:
			a.records++
		}
		a.size += int64(len(content))
		a.stdout = append(a.stdout, content[:min(len(content), maxKept-len(a.stdout))]...)
	case record.Stderr:
		a.errRecord = true
		a.errClosed = len(content) == 0
		a.errSize += int64(len(content))
	case record.EndRequest:
		if a.ends++; a.ends == 1 {
			a.endLen = len(content)
			a.end, _ = record.ParseEnd(content)
		}
	}
}

// split cuts the head off the kept output (RFC 3875 § 6); ok is false if it has no
// end.
func (a *answer) split() (head, body []byte, ok bool) {
	rest := a.stdout
	for len(rest) > 0 {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			return a.stdout[:len(a.stdout)-len(rest)], after, true
		}
		rest = after
	}
	return nil, nil, false
}

// status returns the status code of a CGI response, or why the output is none.
func (a *answer) status() (int, error) {
	if a == nil || a.size == 0 {
		return 0, errors.New("no output")
	}
	if bytes.HasPrefix(a.stdout, []byte("HTTP/")) {
		return 0, fmt.Errorf("the output begins with an HTTP status line, %s", quote(a.stdout))
	}
	head, _, ok := a.split()
	if !ok {
		return 0, fmt.Errorf("the output has no header that ends, %s", quote(a.stdout))
	}
	code, fields := 200, 0
	location, stated := false, false
	for line := range strings.Lines(string(head)) {
		line = strings.TrimRight(line, "\r\n")
		name, value, found := strings.Cut(line, ":")
		if !found || name == "" || strings.ContainsAny(name, " \t") {
			return 0, fmt.Errorf("%s is not a header field", quote([]byte(line)))
		}
		switch value = strings.TrimSpace(value); strings.ToLower(name) {
		case "status":
			n, err := strconv.Atoi(value[:min(3, len(value))])
			if err != nil || n < 100 {
				return 0, fmt.Errorf("the Status field is %s", quote([]byte(value)))
			}
			code, stated = n, true
		case "location":
			location = true
		case "content-type":
		default:
			continue
		}
		fields++
	}
	if fields == 0 {
		return 0, errors.New("the header has none of Content-Type, Location and Status")
	}
	if location && !stated {
		code = 302
	}
	return code, nil
}

// quote quotes the beginning of what the endpoint sent.
func quote(b []byte) string {
	const most = 40
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}

// like waits for the end of a request, and passes if it was answered with the status
// code that the plain request had.
func (s *session) like(id uint16, want int) verdict {
	if err := s.untilEnd(id); err != nil {
		return fail("request %d has no END_REQUEST: %v", id, err)
	}
	a := s.answers[id]
	if a.end.ProtocolStatus != record.RequestComplete {
		return fail("request %d was refused: %v", id, a.end.ProtocolStatus)
	}
	code, err := a.status()
	switch {
	case want == 0:
		return notApplicable("the plain request has no CGI response to compare with")
	case err != nil:
		return fail("request %d: %v", id, err)
	case code != want:
		return fail("status %d; the plain request has %d", code, want)
	}
	return pass("status %d, as for the plain request", code)
}

// valid is like with any status code.
func (s *session) valid(id uint16) verdict {
	if err := s.untilEnd(id); err != nil {
		return fail("request %d has no END_REQUEST: %v", id, err)
	}
	if ps := s.answers[id].end.ProtocolStatus; ps != record.RequestComplete {
		return fail("request %d was refused: %v", id, ps)
	}
	code, err := s.answers[id].status()
	if err != nil {
		return fail("request %d: %v", id, err)
	}
	return pass("status %d", code)
}

// settled passes if a request is answered, or the connection closed: anything but
// silence.
func (s *session) settled(id uint16) verdict {
	switch err := s.untilEnd(id); {
	case errors.Is(err, errGone):
		return pass("%v", err)
	case err != nil:
		return fail("request %d was left without an end: %v", id, err)
	}
	return pass("%s", s.answers[id])
}

// refused passes if the request is not run: the connection is closed, or the request
// ended by an error. If the plain request has an error status, too, nobody can tell.
func (s *session) refused(id uint16, want int) verdict {
	v := s.settled(id)
	if a := s.answers[id]; v.outcome == Pass && a.ended() && a.end.ProtocolStatus == record.RequestComplete {
		switch code, err := a.status(); {
		case err == nil && code < 400:
			return fail("it was answered, status %d", code)
		case err == nil && code == want:
			return notApplicable("status %d, as for the plain request", code)
		}
	}
	return v
}

// String says how a request ended.
func (a *answer) String() string {
	if a.end.ProtocolStatus != record.RequestComplete {
		return a.end.ProtocolStatus.String()
	}
	code, err := a.status()
	if err != nil {
		return fmt.Sprintf("END_REQUEST, %v", err)
	}
	return fmt.Sprintf("status %d", code)
}
