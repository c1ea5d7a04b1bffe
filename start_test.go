package gatehouse

import (
	"fmt"
	"maps"
	"testing"

	"gatehouse/iis"
	"gatehouse/systemd"

	"github.com/google/go-cmp/cmp"
)

// process is a process with an environment and a set of descriptors.
func process(env map[string]string, fds map[int]systemd.Socket) systemd.Process {
	return systemd.Process{
		PID: 42,
		LookupEnv: func(name string) (string, bool) {
			v, ok := env[name]
			return v, ok
		},
		Unsetenv: func(name string) error {
			delete(env, name)
			return nil
		},
		PIDFDID: func() (uint64, bool) { return 7, true },
		Inspect: func(fd int) (systemd.Socket, error) {
			s, ok := fds[fd]
			if !ok {
				return systemd.Socket{}, fmt.Errorf("descriptor %d is not open", fd)
			}
			return s, nil
		},
		CloseOnExec: func(int) error { return nil },
	}
}

var (
	listening = systemd.Socket{State: systemd.Listening, Network: "unix"}
	connected = systemd.Socket{State: systemd.Connected, Network: "tcp"}
	noSocket  = systemd.Socket{}
)

func TestStartOrder(t *testing.T) {
	listen := map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "scgi"}
	program := map[string]string{"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}
	both := map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "scgi",
		"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}
	three := systemd.Descriptor{FD: 3, Name: "scgi", Socket: listening}
	module := map[string]string{"ASPNETCORE_PORT": "5000", "ASPNETCORE_TOKEN": "4711"}
	five, err := iis.FindModule(process(module, nil).LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  map[string]string
		fds  map[int]systemd.Socket
		want Start
	}{
		{"a module of IIS", module, map[int]systemd.Socket{0: connected}, Start{Kind: StartedByIIS, Module: five}},
		{"a CGI program of a process that IIS started", map[string]string{"ASPNETCORE_PORT": "5000",
			"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"}, nil, Start{Kind: CGIProgram}},
		{"nothing", nil, map[int]systemd.Socket{0: noSocket}, Start{}},
		{"standard input closed", nil, nil, Start{}},
		{"listening stdin", nil, map[int]systemd.Socket{0: listening},
			Start{Kind: ListeningStdin, Descriptors: []systemd.Descriptor{{Socket: listening}}}},
		{"listening stdin before LISTEN_FDS", listen, map[int]systemd.Socket{0: listening, 3: listening},
			Start{Kind: ListeningStdin, Descriptors: []systemd.Descriptor{{Socket: listening}}, Unused: []systemd.Descriptor{three}}},
		{"listening stdin before CGI", program, map[int]systemd.Socket{0: listening},
			Start{Kind: ListeningStdin, Descriptors: []systemd.Descriptor{{Socket: listening}}}},
		{"LISTEN_FDS", listen, map[int]systemd.Socket{0: noSocket, 3: listening},
			Start{Kind: Activated, Descriptors: []systemd.Descriptor{three}}},
		{"LISTEN_FDS before CGI", both, map[int]systemd.Socket{0: noSocket, 3: listening},
			Start{Kind: Activated, Descriptors: []systemd.Descriptor{three}}},
		{"LISTEN_FDS before connected stdin", listen, map[int]systemd.Socket{0: connected, 3: listening},
			Start{Kind: Activated, Descriptors: []systemd.Descriptor{three}}},
		{"mod_cgi", program, map[int]systemd.Socket{0: noSocket}, Start{Kind: CGIProgram}},
		{"mod_cgid", program, map[int]systemd.Socket{0: connected}, Start{Kind: CGIProgram}},
		{"inetd", nil, map[int]systemd.Socket{0: connected},
			Start{Kind: ConnectedStdin, Descriptors: []systemd.Descriptor{{Socket: connected}}}},
		{"GATEWAY_INTERFACE alone is no CGI", map[string]string{"GATEWAY_INTERFACE": "CGI/1.1"},
			map[int]systemd.Socket{0: noSocket}, Start{}},
		{"REQUEST_METHOD alone is no CGI", map[string]string{"REQUEST_METHOD": "GET"},
			map[int]systemd.Socket{0: connected},
			Start{Kind: ConnectedStdin, Descriptors: []systemd.Descriptor{{Socket: connected}}}},
		{"socketpair of ssh", nil, map[int]systemd.Socket{0: {State: systemd.None, Network: "unix"}}, Start{}},
		{"datagram socket of inetd", nil, map[int]systemd.Socket{0: {State: systemd.Other, Network: "tcp"}}, Start{}},
		{"descriptors of the parent", map[string]string{"LISTEN_PID": "41", "LISTEN_FDS": "1",
			"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET"},
			map[int]systemd.Socket{0: noSocket, 3: listening}, Start{Kind: CGIProgram}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := maps.Clone(tt.env)
			got, err := FindStart(process(env, tt.fds))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := env[iis.TokenVariable]; ok {
				t.Error("children would have the token of IIS")
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(iis.Module{})); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}
