package fastcgi

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
	"gatehouse/internal/testkit"
)

func beginAs(role record.Role, id uint16, flags byte) []byte {
	return record.AppendBegin(nil, id, role, flags)
}

func data(id uint16, s string) []byte {
	return record.AppendStream(nil, record.Data, id, []byte(s))
}

func endData(id uint16) []byte { return record.AppendHeader(nil, record.Data, id, 0, 0) }

// filterRequest is a whole request in the role of a Filter.
func filterRequest(id uint16, flags byte, body, file string, vars ...string) []byte {
	vars = append([]string{"REQUEST_METHOD=POST", "CONTENT_LENGTH=" + strconv.Itoa(len(body)),
		"FCGI_DATA_LENGTH=" + strconv.Itoa(len(file)), "FCGI_DATA_LAST_MOD=981173106"}, vars...)
	return bytes.Join([][]byte{beginAs(record.Filter, id, flags), params(id, vars...),
		stdin(id, body), endStdin(id), data(id, file), endData(id)}, nil)
}

// guard lets only one name in.
var guard = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if r.Role != cgi.Authorizer {
		return errors.New("the role is " + r.Role.String())
	}
	if b, err := io.ReadAll(r.Body); len(b) > 0 || err != nil || r.ContentLength != 0 {
		return errors.New("an authorizer's request has a body")
	}
	if r.Env.Get("REMOTE_USER") != "alice" {
		return &cgi.StatusError{Code: 403}
	}
	return w.StartResponse("200 OK", []cgi.Field{cgi.Variable("AUTH_GROUP", "staff")})
})

// filter puts the request's body before the file, in capitals.
var filter = cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
	if r.Role != cgi.Filter {
		return errors.New("the role is " + r.Role.String())
	}
	if t := DataModTime(r.Env); !t.Equal(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)) {
		return errors.New("the file was changed at " + t.String())
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	file, err := io.ReadAll(r.Data)
	if err != nil {
		return err
	}
	if err := w.StartResponse("200 OK", nil); err != nil {
		return err
	}
	_, err = w.Write(append(body, bytes.ToUpper(file)...))
	return err
})

func TestRoleNotPlayed(t *testing.T) {
	for _, c := range []struct {
		name   string
		server *Server
		role   record.Role
	}{
		{"no authorizer", &Server{App: hello, Filter: filter}, record.Authorizer},
		{"no filter", &Server{App: hello, Authorizer: guard}, record.Filter},
		{"no responder", &Server{Authorizer: guard, Filter: filter}, record.Responder},
		{"role 0", &Server{App: hello, Authorizer: guard, Filter: filter}, 0},
		{"role 4", &Server{App: hello, Authorizer: guard, Filter: filter}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, "unix", c.server).dial()
			s.send(beginAs(c.role, 1, record.KeepConn), params(1, "REQUEST_METHOD=GET"), endStdin(1))
			if a := s.answer(1); a.stdout != "" || a.end.ProtocolStatus != record.UnknownRole {
				t.Errorf("answer %+v, want UNKNOWN_ROLE", a)
			}
		})
	}
}

func TestNoApplication(t *testing.T) {
	l := testkit.Listen(t, "unix")
	if err := new(Server).Serve(l); err == nil || !strings.Contains(err.Error(), "no application") {
		t.Errorf("Serve returned %v", err)
	}
}

func TestAuthorizer(t *testing.T) {
	s := serve(t, "unix", &Server{App: hello, Authorizer: guard}).dial()
	for _, c := range []struct {
		name string
		send []byte
		want string
	}{
		{"let in", params(1, "REMOTE_USER=alice", "REQUEST_METHOD=GET", "REQUEST_URI=/secret"), "Status: 200 OK\r\nVariable-AUTH_GROUP: staff\r\n"},
		{"kept out", params(1, "REMOTE_USER=mallory", "REQUEST_METHOD=GET"), "Status: 403 Forbidden\r\n"},
		// lighttpd sends the length of the request that it asks about, and no body.
		{"a length without a body", params(1, "REMOTE_USER=alice", "REQUEST_METHOD=POST", "CONTENT_LENGTH=500"), "Status: 200 OK\r\n"},
		{"a body all the same", append(params(1, "REMOTE_USER=alice", "CONTENT_LENGTH=5"), stdin(1, "hello")...), "Status: 200 OK\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.send(beginAs(record.Authorizer, 1, record.KeepConn), c.send, endStdin(1))
			if a := s.answer(1); !strings.HasPrefix(a.stdout, c.want) || a.end != (record.End{}) {
				t.Errorf("answer %+v, want %q", a, c.want)
			}
		})
	}
	s.send(get(1, 0))
	if a := s.answer(1); a.stdout != helloAnswer {
		t.Errorf("the responder answers %q", a.stdout)
	}
}

// TestAuthorizerWithoutStdin: nothing of the specification says that an Authorizer's
// request has a STDIN stream, not even an empty one.
func TestAuthorizerWithoutStdin(t *testing.T) {
	for _, flags := range []byte{0, record.KeepConn} {
		s := serve(t, "unix", &Server{Authorizer: guard}).dial()
		s.send(beginAs(record.Authorizer, 1, flags), params(1, "REMOTE_USER=alice"))
		if a := s.answer(1); !strings.HasPrefix(a.stdout, "Status: 200 OK\r\n") {
			t.Errorf("answer %+v", a)
		}
		if flags == 0 {
			s.closed()
		}
	}
}

// TestAuthorizerFails: one that fails lets nobody in.
func TestAuthorizerFails(t *testing.T) {
	for name, app := range map[string]cgi.AppFunc{
		"error": func(cgi.ResponseWriter, *cgi.Request) error { return errors.New("no database") },
		"panic": func(cgi.ResponseWriter, *cgi.Request) error { panic("no database") },
		"none":  func(cgi.ResponseWriter, *cgi.Request) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, "unix", &Server{Authorizer: app}).dial()
			s.send(beginAs(record.Authorizer, 1, 0), params(1, "REMOTE_USER=alice"), endStdin(1))
			if a := s.answer(1); !strings.HasPrefix(a.stdout, "Status: 500 ") {
				t.Errorf("answer %+v", a)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 200<<10/16)
	for _, c := range []struct{ name, body, file string }{
		{"both", "who: ", "the file"},
		{"no body", "", "the file"},
		{"an empty file", "who", ""},
		{"nothing", "", ""},
		{"large", large, large},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, "unix", &Server{Filter: filter}).dial()
			for range 2 {
				s.send(filterRequest(1, record.KeepConn, c.body, c.file))
				if a := s.answer(1); bodyOf(t, a) != c.body+strings.ToUpper(c.file) || a.end != (record.End{}) {
					t.Errorf("%d bytes %.80q", len(a.stdout), a.stdout)
				}
			}
		})
	}
}

// TestFilterReadsDataFirst: the body that stands before the data is kept meanwhile.
func TestFilterReadsDataFirst(t *testing.T) {
	app := cgi.AppFunc(func(w cgi.ResponseWriter, r *cgi.Request) error {
		file, err := io.ReadAll(r.Data)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if err := w.StartResponse("200 OK", nil); err != nil {
			return err
		}
		_, err = w.Write(append(file, body...))
		return err
	})
	s := serve(t, "unix", &Server{Filter: app}).dial()
	body, file := strings.Repeat("b", 300<<10), strings.Repeat("f", 300<<10)
	s.send(filterRequest(1, 0, body, file))
	if a := s.answer(1); bodyOf(t, a) != file+body {
		t.Errorf("%d bytes, want %d", len(bodyOf(t, a)), len(file)+len(body))
	}
}

// TestFilterDataLength: a file that is shorter than its length is no file, one that
// is longer is cut, and without a length the end of the stream is the truth.
func TestFilterDataLength(t *testing.T) {
	for _, c := range []struct {
		name, length, file, want string
	}{
		{"short", "9", "file", "Status: 500 "},
		{"long", "2", "file", "Status: 200 OK\r\nContent-Length: 2\r\n\r\nFI"},
		{"none", "", "file", "Status: 200 OK\r\nContent-Length: 4\r\n\r\nFILE"},
		{"no number", "-1", "file", "Status: 200 OK\r\nContent-Length: 4\r\n\r\nFILE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, "unix", &Server{Filter: filter}).dial()
			s.send(beginAs(record.Filter, 1, record.KeepConn),
				params(1, "CONTENT_LENGTH=0", "FCGI_DATA_LAST_MOD=981173106", "FCGI_DATA_LENGTH="+c.length),
				endStdin(1), data(1, c.file), endData(1))
			if a := s.answer(1); !strings.HasPrefix(a.stdout, c.want) {
				t.Errorf("answer %q, want %q", a.stdout, c.want)
			}
			s.send(filterRequest(1, 0, "", "next"))
			if a := s.answer(1); bodyOf(t, a) != "NEXT" {
				t.Errorf("the next answer is %q", a.stdout)
			}
		})
	}
}

// TestFilterUnreadData: what a Filter leaves of its file does not become the next
// request, nor hold the answer.
func TestFilterUnreadData(t *testing.T) {
	s := serve(t, "unix", &Server{App: hello, Filter: hello}).dial()
	for range 3 {
		go s.Write(filterRequest(1, record.KeepConn, "body", strings.Repeat("f", 1<<20)))
		if a := s.answer(1); a.stdout != helloAnswer {
			t.Errorf("answer %q", a.stdout)
		}
	}
}

// TestFilterDataLimit: body_bytes holds for the file, too.
func TestFilterDataLimit(t *testing.T) {
	for _, length := range []string{"5", ""} {
		s := serve(t, "unix", &Server{Filter: filter, Limits: cgi.Limits{BodyBytes: 4}}).dial()
		s.send(beginAs(record.Filter, 1, 0), params(1, "CONTENT_LENGTH=0", "FCGI_DATA_LAST_MOD=981173106", "FCGI_DATA_LENGTH="+length),
			endStdin(1), data(1, "12345"), endData(1))
		if a := s.answer(1); !strings.HasPrefix(a.stdout, "Status: 413 ") {
			t.Errorf("length %q: answer %q", length, a.stdout)
		}
	}
}

// TestDataOutOfOrder: DATA before the end of STDIN breaks the order of the streams
// (§ 6.4); a Filter that waits for its body would wait for ever.
func TestDataOutOfOrder(t *testing.T) {
	ts := serve(t, "unix", &Server{Filter: filter})
	s := ts.dial()
	s.send(beginAs(record.Filter, 1, 0), params(1, "CONTENT_LENGTH=4", "FCGI_DATA_LAST_MOD=981173106"), data(1, "file"))
	s.closed()
	ts.Close()
	if !strings.Contains(ts.logs.String(), "before the end of its STDIN") {
		t.Errorf("log %q", ts.logs)
	}
}

// TestDataToOthers: DATA has no meaning in another role, and is skipped.
func TestDataToOthers(t *testing.T) {
	s := serve(t, "unix", &Server{App: echo}).dial()
	s.send(begin(1, 0), params(1, "CONTENT_LENGTH=4"), data(1, "file"), stdin(1, "body"), endData(1), endStdin(1))
	if a := s.answer(1); bodyOf(t, a) != "body" {
		t.Errorf("answer %q", a.stdout)
	}
}
