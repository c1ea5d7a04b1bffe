package daemon

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var addressTests = []struct {
	text string
	want Address
	err  string
}{
	{"unix:/run/s", Address{Kind: AddressUnix, Path: "/run/s", Mode: 0o660}, ""},
	{"unix:s,mode=0600,owner=www-data,group=33", Address{Kind: AddressUnix, Path: "s", Mode: 0o600, Owner: "www-data", Group: "33"}, ""},
	{"127.0.0.1:9000", Address{Host: "127.0.0.1", Port: 9000}, ""},
	{"[::1]:9000,half_close=true", Address{Host: "::1", Port: 9000, HalfClose: true}, ""},
	{"localhost:0", Address{Host: "localhost"}, ""},
	{":8080", Address{Port: 8080}, ""},
	{"*:8080", Address{Port: 8080}, ""},
	{"fd:0", Address{Kind: AddressDescriptor}, ""},
	{"fd:7", Address{Kind: AddressDescriptor, FD: 7}, ""},
	{"systemd:fastcgi.site", Address{Kind: AddressSystemd, Name: "fastcgi.site"}, ""},

	{"", Address{}, "empty address: write unix:PATH, HOST:PORT, :PORT, fd:N or systemd:NAME"},
	{"/run/s", Address{}, `"/run/s" is not an address: for a unix socket write unix:/run/s`},
	{"localhost", Address{}, `"localhost" is not an address: write unix:PATH, HOST:PORT, :PORT, fd:N or systemd:NAME`},
	{"::1:9000", Address{}, `"::1:9000" is not an address: write an IPv6 address in brackets, such as [::1]:9000`},
	{"127.0.0.1:http", Address{}, `"127.0.0.1:http": "http" is not a port, a number from 0 to 65535`},
	{"127.0.0.1:65536", Address{}, `"127.0.0.1:65536": "65536" is not a port, a number from 0 to 65535`},
	{"unix:", Address{}, "unix: has no path: write unix:PATH"},
	{"unix:/run/", Address{}, "unix:/run/ is a directory: write the path of a socket in it"},
	{"unix:@abstract", Address{}, "unix:@abstract: an abstract socket has no permissions, anyone could connect: write a path"},
	{"unix:/a\x00b", Address{}, `"unix:/a\x00b": NUL byte in a path`},
	{"unix:/s,", Address{}, `"unix:/s," ends with a comma`},
	{"unix:/s,mode=", Address{}, `"unix:/s,mode=": "mode" has no value: write mode=…`},
	{"unix:/s,mode=999", Address{}, `"unix:/s,mode=999": "999" is not a mode: write octal digits from 0000 to 0777, such as mode=0660`},
	{"unix:/s,mode=4777", Address{}, `"unix:/s,mode=4777": "4777" is not a mode: write octal digits from 0000 to 0777, such as mode=0660`},
	{"unix:/s,mode=07777", Address{}, `"unix:/s,mode=07777": "07777" is not a mode: write octal digits from 0000 to 0777, such as mode=0660`},
	{"unix:/s,group=a,mode=0600,group=b", Address{}, `"unix:/s,group=a,mode=0600,group=b": "group" is given twice: remove one`},
	{":80,half_close=true,half_close=true", Address{}, `":80,half_close=true,half_close=true": "half_close" is given twice: remove one`},
	{"unix:/s,gruop=x", Address{}, `"unix:/s,gruop=x": unknown option "gruop": did you mean "group"?`},
	{"unix:/s,half_close=true", Address{}, `"unix:/s,half_close=true": "half_close" is for TCP: on unix sockets it is always on`},
	{":80,mode=0600", Address{}, `":80,mode=0600": "mode" is for unix sockets`},
	{":80,half_close=maybe", Address{}, `":80,half_close=maybe": half_close is "maybe": write half_close=true or half_close=false`},
	{":80,colour=red", Address{}, `":80,colour=red": unknown option "colour": write mode=, owner= or group= after a unix socket, half_close= after a port`},
	{"fd:x", Address{}, `fd:x: "x" is not the number of a descriptor`},
	{"fd:2", Address{}, "fd:2 is standard output or error: pass the socket as another descriptor"},
	{"systemd:", Address{}, `"systemd:" has no name: write systemd:NAME with the FileDescriptorName= of the socket unit`},
}

func TestParseAddress(t *testing.T) {
	for _, tt := range addressTests {
		got, err := ParseAddress(tt.text)
		checkError(t, err, tt.err)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: -want +got\n%s", tt.text, d)
		}
	}
}

func TestParseAddressPipe(t *testing.T) {
	if runtime.GOOS != "windows" {
		_, err := ParseAddress("npipe:x")
		checkError(t, err, `"npipe:x": named pipes exist on Windows only: write unix:PATH`)
	}
	for _, tt := range []struct {
		name string
		want Address
		err  string
	}{
		{"gatehouse.fastcgi", Address{Kind: AddressPipe, Name: "gatehouse.fastcgi"}, ""},
		{`\\.\pipe\x`, Address{Kind: AddressPipe, Name: "x"}, ""},
		{"", Address{}, "npipe: has no name: write npipe:NAME"},
		{`a\b`, Address{}, `npipe:a\b: the name of a pipe has no slashes: write npipe:NAME for \\.\pipe\NAME`},
		{strings.Repeat("x", 247), Address{Kind: AddressPipe, Name: strings.Repeat("x", 247)}, ""},
		{strings.Repeat("x", 248), Address{}, "npipe:" + strings.Repeat("x", 248) +
			": the name is 248 bytes long, that of a pipe at most 247: write a shorter one"},
	} {
		got, err := parsePipe(tt.name)
		checkError(t, err, tt.err)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: -want +got\n%s", tt.name, d)
		}
	}
	a := Address{Kind: AddressPipe, Name: "x"}
	checkError(t, a.setOption("mode=0600"), `"mode" is for unix sockets`)
	checkError(t, a.setOption("half_close=true"), `"half_close" is for TCP: a named pipe cannot be half closed`)
	checkError(t, a.setOption("sddl="), `"sddl" has no value: write sddl=…`)
	checkError(t, a.setOption("sddl=D:P(A;;GA;;;SY)"), "")
	if got := a.String(); got != "npipe:x,sddl=D:P(A;;GA;;;SY)" || a.key() != "npipe:x" {
		t.Errorf("%s, %s", got, a.key())
	}
	checkError(t, new(Address).setOption("sddl=x"), `"sddl" is for named pipes`)
}

func TestParseAddressPathLength(t *testing.T) {
	fits := "/" + strings.Repeat("a", 106)
	if _, err := ParseAddress("unix:" + fits); err != nil {
		t.Errorf("107 bytes: %v", err)
	}
	_, err := ParseAddress("unix:" + fits + "a")
	checkError(t, err, "unix:"+fits+"a: the path is 108 bytes long, a unix socket's at most 107: write a shorter one")
}

// FuzzParseAddress holds that what is read is written in a form that reads as the
// same.
func FuzzParseAddress(f *testing.F) {
	for _, tt := range addressTests {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			if a != (Address{}) {
				t.Errorf("%q: %+v with the error %v", s, a, err)
			}
			return
		}
		b, err := ParseAddress(a.String())
		if err != nil || a != b {
			t.Errorf("%q: %+v, written as %q, reads as %+v, %v", s, a, a.String(), b, err)
		}
	})
}

func TestParseAllow(t *testing.T) {
	tests := []struct{ text, want, err string }{
		{"10.0.0.0/8", "10.0.0.0/8", ""},
		{"10.1.2.3/8", "10.0.0.0/8", ""},
		{"192.0.2.7", "192.0.2.7/32", ""},
		{"::ffff:192.0.2.7", "192.0.2.7/32", ""},
		{"2001:db8::/32", "2001:db8::/32", ""},
		{"fe80::1%eth0", "fe80::1/128", ""},
		{"::ffff:10.0.0.0/104", "", `"::ffff:10.0.0.0/104" is an IPv4 network in IPv6 form: write it as IPv4`},
		{"example.org", "", `"example.org" is not a network: write an address or a prefix, such as 192.0.2.7 or 10.0.0.0/8`},
	}
	for _, tt := range tests {
		got, err := ParseAllow(tt.text)
		checkError(t, err, tt.err)
		if err == nil && got != netip.MustParsePrefix(tt.want) {
			t.Errorf("%s: got %v; want %s", tt.text, got, tt.want)
		}
	}
}
