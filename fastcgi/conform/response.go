package conform

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/fastcgi/record"
)

// maxKept is how many bytes of a response or a management record are kept.
const maxKept = 64 << 10

// A response is everything received for one request id. It is nil if nothing was.
type response struct {
	stdout    []byte // the first maxKept bytes
	size      int64  // all bytes of STDOUT
	records   int    // STDOUT records with content
	first     bool   // the first STDOUT record was empty
	closed    bool   // STDOUT was closed by an empty record
	after     bool   // STDOUT continued after that
	errSize   int64  // bytes of STDERR
	errRecord bool   // there was a STDERR record
	errClosed bool   // STDERR was closed
	ends      int    // END_REQUEST records
	endLen    int    // bytes in the first of them
	end       record.End
	late      int // records after END_REQUEST
}

// complete reports whether END_REQUEST was received.
func (r *response) complete() bool { return r != nil && r.ends > 0 }

// add adds a record.
func (r *response) add(typ record.Type, content []byte) {
	if r.ends > 0 {
		r.late++
	}
	switch typ {
	case record.Stdout:
		switch {
		case r.closed:
			r.after = true
		case len(content) == 0:
			r.closed, r.first = true, r.records == 0
		default:
			r.records++
		}
		r.size += int64(len(content))
		r.stdout = append(r.stdout, content[:min(len(content), maxKept-len(r.stdout))]...)
	case record.Stderr:
		r.errRecord = true
		r.errClosed = len(content) == 0
		r.errSize += int64(len(content))
	case record.EndRequest:
		if r.ends++; r.ends == 1 {
			r.endLen = len(content)
			r.end, _ = record.ParseEnd(content)
		}
	}
}

// split separates the header of the kept output (RFC 3875 § 6) from the body; ok is
// false if the header does not end.
func (r *response) split() (head, body []byte, ok bool) {
	rest := r.stdout
	for len(rest) > 0 {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 {
			return r.stdout[:len(r.stdout)-len(rest)], after, true
		}
		rest = after
	}
	return nil, nil, false
}

// status returns the status code of a CGI response, or why the output is not one.
func (r *response) status() (int, error) {
	if r == nil || r.size == 0 {
		return 0, errors.New("no output")
	}
	if bytes.HasPrefix(r.stdout, []byte("HTTP/")) {
		return 0, fmt.Errorf("the output begins with an HTTP status line, %s", quote(r.stdout))
	}
	head, _, ok := r.split()
	if !ok {
		return 0, fmt.Errorf("the header of the output does not end, %s", quote(r.stdout))
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

// like waits for the end of a request, and passes if the response has the same status
// code as that to the plain request.
func (s *session) like(id uint16, want int) verdict {
	if err := s.untilEnd(id); err != nil {
		return fail("request %d has no END_REQUEST: %v", id, err)
	}
	r := s.responses[id]
	if r.end.ProtocolStatus != record.RequestComplete {
		return fail("request %d was refused: %v", id, r.end.ProtocolStatus)
	}
	code, err := r.status()
	switch {
	case want == 0:
		return notApplicable("the plain request got no CGI response to compare with")
	case err != nil:
		return fail("request %d: %v", id, err)
	case code != want:
		return fail("status %d; the plain request got %d", code, want)
	}
	return pass("status %d, as for the plain request", code)
}

// valid is like with any status code.
func (s *session) valid(id uint16) verdict {
	if err := s.untilEnd(id); err != nil {
		return fail("request %d has no END_REQUEST: %v", id, err)
	}
	if ps := s.responses[id].end.ProtocolStatus; ps != record.RequestComplete {
		return fail("request %d was refused: %v", id, ps)
	}
	code, err := s.responses[id].status()
	if err != nil {
		return fail("request %d: %v", id, err)
	}
	return pass("status %d", code)
}

// notSilent passes if there is a response or the connection is closed: anything but
// silence.
func (s *session) notSilent(id uint16) verdict {
	switch err := s.untilEnd(id); {
	case errors.Is(err, errGone):
		return pass("%v", err)
	case err != nil:
		return fail("request %d never ended: %v", id, err)
	}
	return pass("%s", s.responses[id])
}

// refused passes if the request is not run: the connection is closed, or the request
// ends with an error. If the plain request got an error status, too, there is no telling.
func (s *session) refused(id uint16, want int) verdict {
	v := s.notSilent(id)
	if r := s.responses[id]; v.outcome == Pass && r.complete() && r.end.ProtocolStatus == record.RequestComplete {
		switch code, err := r.status(); {
		case err == nil && code < 400:
			return fail("the request was run: status %d", code)
		case err == nil && code == want:
			return notApplicable("status %d, as for the plain request", code)
		}
	}
	return v
}

// String tells how the request ended.
func (r *response) String() string {
	if r.end.ProtocolStatus != record.RequestComplete {
		return r.end.ProtocolStatus.String()
	}
	code, err := r.status()
	if err != nil {
		return fmt.Sprintf("END_REQUEST, %v", err)
	}
	return fmt.Sprintf("status %d", code)
}
