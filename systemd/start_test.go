package systemd

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A world is an environment and a set of descriptors.
type world struct {
	env     map[string]string
	fds     map[int]Socket
	closing []int // descriptors that were made close-on-exec
}

func (w *world) process() Process {
	return Process{
		PID: 42,
		LookupEnv: func(name string) (string, bool) {
			v, ok := w.env[name]
			return v, ok
		},
		Unsetenv: func(name string) error {
			delete(w.env, name)
			return nil
		},
		PIDFDID: func() (uint64, bool) { return 7, true },
		Inspect: func(fd int) (Socket, error) {
			s, ok := w.fds[fd]
			if !ok {
				return Socket{}, fmt.Errorf("descriptor %d is not open", fd)
			}
			return s, nil
		},
		CloseOnExec: func(fd int) error {
			w.closing = append(w.closing, fd)
			return nil
		},
	}
}

var (
	listening = Socket{Listening, "unix"}
	connected = Socket{Connected, "tcp"}
	noSocket  = Socket{}
)

func TestStartOrder(t *testing.T) {
	listen := map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "scgi"}
	program := map[string]string{"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}
	both := map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "scgi",
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}
	three := Descriptor{3, "scgi", listening}
	tests := []struct {
		name string
		env  map[string]string
		fds  map[int]Socket
		want Start
	}{
		{"nothing", nil, map[int]Socket{0: noSocket}, Start{}},
		{"standard input closed", nil, nil, Start{}},
		{"listening stdin", nil, map[int]Socket{0: listening},
			Start{Kind: ListeningStdin, Descriptors: []Descriptor{{0, "", listening}}}},
		{"listening stdin before LISTEN_FDS", listen, map[int]Socket{0: listening, 3: listening},
			Start{Kind: ListeningStdin, Descriptors: []Descriptor{{0, "", listening}}, Unused: []Descriptor{three}}},
		{"listening stdin before CGI", program, map[int]Socket{0: listening},
			Start{Kind: ListeningStdin, Descriptors: []Descriptor{{0, "", listening}}}},
		{"LISTEN_FDS", listen, map[int]Socket{0: noSocket, 3: listening},
			Start{Kind: Activated, Descriptors: []Descriptor{three}}},
		{"LISTEN_FDS before CGI", both, map[int]Socket{0: noSocket, 3: listening},
			Start{Kind: Activated, Descriptors: []Descriptor{three}}},
		{"LISTEN_FDS before connected stdin", listen, map[int]Socket{0: connected, 3: listening},
			Start{Kind: Activated, Descriptors: []Descriptor{three}}},
		{"mod_cgi", program, map[int]Socket{0: noSocket}, Start{Kind: CGIProgram}},
		{"mod_cgid", program, map[int]Socket{0: connected}, Start{Kind: CGIProgram}},
		{"inetd", nil, map[int]Socket{0: connected},
			Start{Kind: ConnectedStdin, Descriptors: []Descriptor{{0, "", connected}}}},
		{"GATEWAY_INTERFACE alone is no CGI", map[string]string{"GATEWAY_INTERFACE": "CGI/1.1"},
			map[int]Socket{0: noSocket}, Start{}},
		{"REQUEST_METHOD alone is no CGI", map[string]string{"REQUEST_METHOD": "GET"},
			map[int]Socket{0: connected},
			Start{Kind: ConnectedStdin, Descriptors: []Descriptor{{0, "", connected}}}},
		{"socketpair of ssh", nil, map[int]Socket{0: {None, "unix"}}, Start{}},
		{"datagram socket of inetd", nil, map[int]Socket{0: {Other, "tcp"}}, Start{}},
		{"descriptors of the parent", map[string]string{"LISTEN_PID": "41", "LISTEN_FDS": "1",
			"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"},
			map[int]Socket{0: noSocket, 3: listening}, Start{Kind: CGIProgram}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{env: map[string]string{}, fds: tt.fds}
			for k, v := range tt.env {
				w.env[k] = v
			}
			got, err := w.process().Start()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestDescriptors(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want []Descriptor
		err  string
	}{
		{"none", map[string]string{}, nil, ""},
		{"count without process", map[string]string{"LISTEN_FDS": "1"}, nil, ""},
		{"process without count", map[string]string{"LISTEN_PID": "42"}, nil, ""},
		{"names absent", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2"},
			[]Descriptor{{3, "unknown", listening}, {4, "unknown", connected}}, ""},
		{"names", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:fastcgi.site"},
			[]Descriptor{{3, "http", listening}, {4, "fastcgi.site", connected}}, ""},
		{"an empty name counts", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": ":scgi"},
			[]Descriptor{{3, "", listening}, {4, "scgi", connected}}, ""},
		{"own PIDFDID", map[string]string{"LISTEN_PID": "42", "LISTEN_PIDFDID": "7", "LISTEN_FDS": "1"},
			[]Descriptor{{3, "unknown", listening}}, ""},
		{"recycled process id", map[string]string{"LISTEN_PID": "42", "LISTEN_PIDFDID": "8", "LISTEN_FDS": "1"}, nil, ""},
		{"bad process", map[string]string{"LISTEN_PID": "x", "LISTEN_FDS": "1"}, nil,
			`LISTEN_PID is "x", not the id of a process`},
		{"bad PIDFDID", map[string]string{"LISTEN_PID": "42", "LISTEN_PIDFDID": "-1", "LISTEN_FDS": "1"}, nil,
			`LISTEN_PIDFDID is "-1", not the id of a process`},
		{"zero descriptors", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "0"}, nil,
			`LISTEN_FDS is "0", not a number of descriptors`},
		{"more than there are", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2000000000"}, nil,
			"LISTEN_FDS is 2000000000, but descriptor 5 is not open"},
		{"too few names", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http"}, nil,
			"LISTEN_FDNAMES has 1 names for the 2 descriptors of LISTEN_FDS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{env: tt.env, fds: map[int]Socket{3: listening, 4: connected}}
			got, err := w.process().Descriptors()
			if (err != nil || tt.err != "") && (err == nil || err.Error() != tt.err) {
				t.Fatalf("error %v; want %q", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			for _, d := range got {
				if len(w.closing) != len(got) {
					t.Errorf("%v stays open on exec", d)
				}
			}
			if len(w.env) != 0 {
				t.Errorf("left in the environment: %v", w.env)
			}
		})
	}
}

func TestDescriptorsEnvironmentStays(t *testing.T) {
	w := &world{env: map[string]string{"LISTEN_FDS": "1"}}
	p := w.process()
	failure := errors.New("read-only")
	p.Unsetenv = func(string) error { return failure }
	if _, err := p.Descriptors(); !errors.Is(err, failure) {
		t.Errorf("error %v; want %v", err, failure)
	}
}

func TestProtocol(t *testing.T) {
	tests := []struct {
		name  string
		state State
		want  Protocol
		fails bool
	}{
		{"fastcgi", Listening, FastCGI, false},
		{"scgi", Listening, SCGI, false},
		{"http", Listening, HTTP, false},
		{"fastcgi.site", Listening, FastCGI, false},
		{"http.admin", Connected, HTTP, false},
		{"unknown", Listening, FastCGI, false},
		{"", Listening, FastCGI, false},
		{"stored", Listening, FastCGI, false},
		{"gatehouse.socket", Listening, FastCGI, false},
		{"scgi.socket", Listening, SCGI, false},
		{"connection", Connected, SCGI, false},
		{"fastcgi", Connected, FastCGI, false},
		{"fastcgix", Listening, "", true},
		{"web", Listening, "", true},
		{"fastcgi", None, "", true},
		{"http", Other, "", true},
	}
	for _, tt := range tests {
		d := Descriptor{FD: 3, Name: tt.name, Socket: Socket{State: tt.state}}
		got, err := d.Protocol()
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%v, %v: got %q, %v; want %q", d, tt.state, got, err, tt.want)
		}
	}
}
