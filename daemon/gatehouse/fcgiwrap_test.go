//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/daemon"
)

func TestGetopt(t *testing.T) {
	const known = "c:hfs:p:"
	for _, c := range []struct {
		args []string
		want []letter
		err  string
	}{
		{nil, nil, ""},
		{[]string{"-f", "-c", "4"}, []letter{{'f', ""}, {'c', "4"}}, ""},
		{[]string{"-fc4", "-s", "-x"}, []letter{{'f', ""}, {'c', "4"}, {'s', "-x"}}, ""},
		{[]string{"", "stray", "-", "-f"}, []letter{{'f', ""}}, ""},
		{[]string{"-f", "--", "-h"}, []letter{{'f', ""}}, ""},
		// systemd gives "${OPTIONS}" as one argument.
		{[]string{"-c 4 -f"}, []letter{{'c', " 4 -f"}}, ""},
		{[]string{"-f -c 4"}, nil, "unknown option - "},
		{[]string{"-fx"}, nil, "unknown option -x"},
		{[]string{"--help"}, nil, "unknown option --"},
		{[]string{"-:"}, nil, "unknown option -:"},
		{[]string{"-f", "-p"}, nil, "option -p requires an argument"},
	} {
		got, err := getopt(c.args, known)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if !slices.Equal(got, c.want) || text != c.err {
			t.Errorf("%q: %v, %q; want %v, %q", c.args, got, text, c.want, c.err)
		}
	}
}

func TestSocketURL(t *testing.T) {
	for s, want := range map[string]daemon.Address{
		"tcp:127.0.0.1:9000":  {Kind: daemon.AddressTCP, Host: "127.0.0.1", Port: 9000},
		"tcp:0.0.0.0:1":       {Kind: daemon.AddressTCP, Host: "0.0.0.0", Port: 1},
		"tcp6:[::1]:9000":     {Kind: daemon.AddressTCP, Host: "::1", Port: 9000},
		"unix:/run/f.sock":    {Kind: daemon.AddressUnix, Path: "/run/f.sock", Mode: socketMode()},
		"unix:relative.sock":  {Kind: daemon.AddressUnix, Path: "relative.sock", Mode: socketMode()},
		"":                    {},
		"/run/f.sock":         {},
		"unix:":               {},
		"unix:/run/a,b":       {},
		"tcp:127.0.0.1":       {},
		"tcp:127.0.0.1:65536": {},
		"tcp:[::1]:9000":      {},
		"tcp6:::1:9000":       {},
		"udp:127.0.0.1:9000":  {},
	} {
		got, err := parseSocketURL(s)
		if bad := want == (daemon.Address{}); (err != nil) != bad || !bad && got != want {
			t.Errorf("%q: %+v, %v; want %+v", s, got, err, want)
		}
	}
}

// TestFcgiwrapCount: what systemd makes of DAEMON_OPTS="-c 4 -f" is what fcgiwrap's
// atoi makes of it: 4.
func TestFcgiwrapCount(t *testing.T) {
	p := &process{getenv: func(string) string { return "" }}
	for _, arg := range []string{"-c4", "-c 4 -f"} {
		config, _, err := p.fcgiwrapConfig([]string{arg})
		if err != nil || config.Apps[0].Limits.Programs != 4 {
			t.Errorf("%q: %v", arg, err)
		}
	}
	for _, arg := range []string{"-c", "-cx", "-c-1", "-c99999999999999999999"} {
		if _, _, err := p.fcgiwrapConfig([]string{arg}); err == nil {
			t.Errorf("%q: no error", arg)
		}
	}
}

// TestFcgiwrapWarns: of a socket that other machines reach, unless they are named.
func TestFcgiwrapWarns(t *testing.T) {
	for _, c := range []struct {
		socket, addrs string
		warns         bool
	}{
		{"tcp:0.0.0.0:9000", "", true}, {"tcp6:[::]:9000", "", true}, {"tcp:192.0.2.1:9000", "", true},
		{"tcp:0.0.0.0:9000", "192.0.2.7", false}, {"tcp:127.0.0.1:9000", "", false}, {"tcp6:[::1]:9000", "", false}, {"unix:/run/x", "", false},
	} {
		var stderr strings.Builder
		p := &process{stderr: &stderr, getenv: func(name string) string {
			if name == "FCGI_WEB_SERVER_ADDRS" {
				return c.addrs
			}
			return ""
		}}
		config, _, err := p.fcgiwrapConfig([]string{"-s", c.socket})
		if err != nil || strings.Contains(stderr.String(), "can be reached from other machines") != c.warns {
			t.Errorf("%s, %q: %v, %q", c.socket, c.addrs, err, stderr.String())
		}
		if all := len(config.Allow) == 2; all != (c.addrs == "") {
			t.Errorf("%s, %q: allowed are %v", c.socket, c.addrs, config.Allow)
		}
	}
}

// TestFcgiwrapWebServers: without a list all peers may connect, as libfcgi has it.
func TestFcgiwrapWebServers(t *testing.T) {
	for list, want := range map[string]string{
		"":                           "[0.0.0.0/0 ::/0]",
		"192.0.2.7":                  "[192.0.2.7/32]",
		"192.0.2.7, ::ffff:10.0.0.1": "[192.0.2.7/32 10.0.0.1/32]",
		"::1":                        "[::1/128]",
		"10.0.0.0/8":                 "[]",
		"192.0.2.7,":                 "[]",
		"localhost":                  "[]",
	} {
		allow, err := webServers(list)
		if fmt.Sprint(allow) != want || (err != nil) != (want == "[]") {
			t.Errorf("%q: %v, %v; want %s", list, allow, err, want)
		}
	}
}
