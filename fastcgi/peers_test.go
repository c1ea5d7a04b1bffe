package fastcgi

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/cgi"
	"gatehouse/fastcgi/record"
)

func TestWebServerAddrs(t *testing.T) {
	for _, tt := range []struct {
		value, want string // as fmt prints the list
		err         string
	}{
		{"", "[]", ""},
		{"192.0.2.7", "[192.0.2.7]", ""},
		{"199.170.183.28,199.170.183.71", "[199.170.183.28 199.170.183.71]", ""}, // the specification's example
		{" 192.0.2.7 ,\t127.0.0.1", "[192.0.2.7 127.0.0.1]", ""},
		{"::ffff:192.0.2.7,::1", "[192.0.2.7 ::1]", ""},

		{",", "", `FCGI_WEB_SERVER_ADDRS is ",": "" is not an IP address`},
		{"192.0.2.7,", "", `FCGI_WEB_SERVER_ADDRS is "192.0.2.7,": "" is not an IP address`},
		{" ", "", `" " is not an IP address`},
		{"192.0.2", "", `"192.0.2" is not an IP address`},
		{"192.0.2.256", "", `"192.0.2.256" is not an IP address`},
		{"192.0.2.07", "", `"192.0.2.07" is not an IP address`},
		{"192.0.2.0/24", "", `"192.0.2.0/24" is not an IP address`},
		{"192.0.2.7;127.0.0.1", "", `"192.0.2.7;127.0.0.1" is not an IP address`},
		{"fe80::1%eth0", "", `"fe80::1%eth0" is not an IP address`},
		{"localhost", "", `"localhost" is not an IP address`},
	} {
		got, err := WebServerAddrs(tt.value)
		switch {
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%q: error %v, want %s", tt.value, err, tt.err)
		case tt.err == "" && (err != nil || fmt.Sprint(got) != tt.want):
			t.Errorf("%q: got %v, %v; want %s", tt.value, got, err, tt.want)
		}
	}
}

// TestServerWebServerAddrs: whoever is not the web server is closed at once, and that is
// everybody on a unix socket.
func TestServerWebServerAddrs(t *testing.T) {
	for _, tt := range []struct {
		network, list string
		served        bool
	}{
		{"tcp", "127.0.0.1", true},
		{"tcp", "192.0.2.7,::ffff:127.0.0.1", true},
		{"tcp", "192.0.2.7", false},
		{"unix", "127.0.0.1", false},
	} {
		t.Run(tt.network+" "+tt.list, func(t *testing.T) {
			list, err := WebServerAddrs(tt.list)
			if err != nil {
				t.Fatal(err)
			}
			ts := serve(t, tt.network, &Server{App: hello, WebServerAddrs: list})
			c := ts.dial()
			c.Write(get(1, 0)) // which may fail
			if tt.served {
				if a := c.answer(1); a.stdout != helloAnswer {
					t.Errorf("got %q", a.stdout)
				}
				return
			}
			c.closed()
			ts.Close()
			if log := ts.logs.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "peer refused") || !strings.Contains(log, "FCGI_WEB_SERVER_ADDRS") {
				t.Errorf("want one log line:\n%s", log)
			}
		})
	}
}

// TestNoMultiplexing: with the switch, or a limit of one request, the second request of a
// connection is refused, the first is answered, and GET_VALUES says so.
func TestNoMultiplexing(t *testing.T) {
	for name, s := range map[string]*Server{
		"switch": {NoMultiplexing: true, Limits: cgi.Limits{Connections: 7}},
		"limit":  {Limits: cgi.Limits{Connections: 7, Requests: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s.App = echo
			ts := serve(t, "unix", s)
			c := ts.dial()
			values := record.AppendPair(nil, maxConns, "")
			values = record.AppendPair(values, maxReqs, "")
			values = record.AppendPair(values, mpxConns, "")
			c.send(record.AppendRecord(nil, record.GetValues, 0, values))
			typ, _, content, err := c.next()
			if err != nil || typ != record.GetValuesResult {
				t.Fatalf("%v record, %v", typ, err)
			}
			var got []string
			for len(content) > 0 {
				name, value, rest, err := record.NextPair(content)
				if err != nil {
					t.Fatal(err)
				}
				got, content = append(got, string(name)+"="+string(value)), rest
			}
			if want := []string{"FCGI_MAX_CONNS=7", "FCGI_MAX_REQS=7", "FCGI_MPXS_CONNS=0"}; !slices.Equal(got, want) {
				t.Errorf("values %q, want %q", got, want)
			}
			c.send(begin(1, 1), params(1, "CONTENT_LENGTH=4"), stdin(1, "ab"), get(2, 1))
			if a := c.answer(2); a.end.ProtocolStatus != record.CantMpxConn || a.stdout != "" {
				t.Errorf("the second: got %+v", a)
			}
			if s := ts.Connections(); s.Declined[map[bool]string{true: "multiplex", false: "max_requests"}[ts.NoMultiplexing]] != 1 || s.Accepted != 1 {
				t.Errorf("connections: %+v", s)
			}
			c.send(stdin(1, "cd"), endStdin(1))
			if a := c.answer(1); a.end.ProtocolStatus != record.RequestComplete || bodyOf(t, a) != "abcd" {
				t.Errorf("the first: got %+v", a)
			}
			c.send(post(2, 1, "next"))
			if a := c.answer(2); bodyOf(t, a) != "next" {
				t.Errorf("the next: got %+v", a)
			}
		})
	}
}

func ExampleWebServerAddrs() {
	list, err := WebServerAddrs("192.0.2.7,192.0.2.8")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := &Server{WebServerAddrs: list}
	fmt.Println(slices.Contains(s.WebServerAddrs, netip.MustParseAddr("192.0.2.8")))
	// Output: true
}
