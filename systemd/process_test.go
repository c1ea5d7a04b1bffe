package systemd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
)

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
			`LISTEN_PID is "x", not the id of a process: unset it`},
		{"bad PIDFDID", map[string]string{"LISTEN_PID": "42", "LISTEN_PIDFDID": "-1", "LISTEN_FDS": "1"}, nil,
			`LISTEN_PIDFDID is "-1", not the id of a process: unset it`},
		{"zero descriptors", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "0"}, nil,
			`LISTEN_FDS is "0", not a number of descriptors: unset it`},
		{"more than there are", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2000000000"}, nil,
			"LISTEN_FDS is 2000000000, but descriptor 5 is not open: pass as many sockets, or unset it"},
		{"too few names", map[string]string{"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http"}, nil,
			"LISTEN_FDNAMES has 1 names for the 2 descriptors of LISTEN_FDS: write as many, or unset it"},
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

// TestNotifierEnviron: a process that gets these variables notifies in the place of this one.
func TestNotifierEnviron(t *testing.T) {
	var none *Notifier
	if env := none.Environ(); env != nil {
		t.Errorf("without a service manager: %q", env)
	}
	for _, want := range [][]string{{"NOTIFY_SOCKET=/run/notify"}, {"NOTIFY_SOCKET=@notify", "WATCHDOG_USEC=30000000"}} {
		w := &world{env: make(map[string]string)}
		for _, v := range want {
			name, value, _ := strings.Cut(v, "=")
			w.env[name] = value
		}
		n, err := w.process().Notifier()
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Environ(); !slices.Equal(got, want) {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}
