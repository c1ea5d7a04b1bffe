package gatehouse

import (
	"testing"

	"gatehouse/systemd"
)

func TestProtocol(t *testing.T) {
	tests := []struct {
		name  string
		state systemd.State
		want  Protocol
		fails bool
	}{
		{"fastcgi", systemd.Listening, FastCGI, false},
		{"scgi", systemd.Listening, SCGI, false},
		{"http", systemd.Listening, HTTP, false},
		{"fastcgi.site", systemd.Listening, FastCGI, false},
		{"http.admin", systemd.Connected, HTTP, false},
		{"unknown", systemd.Listening, FastCGI, false},
		{"", systemd.Listening, FastCGI, false},
		{"stored", systemd.Listening, FastCGI, false},
		{"gatehouse.socket", systemd.Listening, FastCGI, false},
		{"scgi.socket", systemd.Listening, SCGI, false},
		{"connection", systemd.Connected, SCGI, false},
		{"fastcgi", systemd.Connected, FastCGI, false},
		{"fastcgix", systemd.Listening, "", true},
		{"web", systemd.Listening, "", true},
		{"fastcgi", systemd.None, "", true},
		{"http", systemd.Other, "", true},
	}
	for _, tt := range tests {
		d := systemd.Descriptor{FD: 3, Name: tt.name, Socket: systemd.Socket{State: tt.state}}
		got, err := ProtocolOf(d)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%v, %v: got %q, %v; want %q", d, tt.state, got, err, tt.want)
		}
	}
}
