package daemon

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseUser(t *testing.T) {
	for _, tt := range []struct {
		text string
		want uint32
		err  string
	}{
		{"root", 0, ""},
		{"0", 0, ""},
		{"4242", 4242, ""},
		{"", 0, "empty name: write a user, such as www-data"},
		{"no-such-user", 0, `there is no user "no-such-user": create it, or write another name, or a number`},
		{"-1", 0, `there is no user "-1": create it, or write another name, or a number`},
		{"4294967295", 0, `there is no user "4294967295": create it, or write another name, or a number`}, // no user: (uid_t)-1
	} {
		got, err := ParseUser(tt.text)
		checkError(t, err, tt.err)
		if got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestPeerKeys(t *testing.T) {
	c, err := ParseConfig("g.toml", []byte("allow_users = [\"root\", \"4242\"]\nmultiplex = false\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]uint32{0, 4242}, c.AllowUsers); d != "" || !c.NoMultiplexing {
		t.Errorf("multiplexing off: %t; -want +got\n%s", c.NoMultiplexing, d)
	}
	c, err = ParseConfig("g.toml", []byte("multiplex = true\n"))
	if err != nil || c.NoMultiplexing || len(c.AllowUsers) > 0 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestCheckUsers(t *testing.T) {
	tcp, unix := Address{Host: "127.0.0.1"}, Address{Kind: AddressUnix, Path: "/run/s"}
	for _, tt := range []struct {
		name string
		c    Config
		fine bool
	}{
		{"nobody", Config{HTTP: []Address{tcp}}, true},
		{"TCP", Config{AllowUsers: []uint32{0}, HTTP: []Address{tcp}, SCGI: []Address{tcp}}, false},
		{"one of them unix", Config{AllowUsers: []uint32{0}, HTTP: []Address{tcp}, SCGI: []Address{unix}}, true},
		{"what was passed", Config{AllowUsers: []uint32{0}, SCGI: []Address{{Kind: AddressSystemd, Name: "x"}}}, true},
		{"nothing", Config{AllowUsers: []uint32{0}}, true},
	} {
		if err := tt.c.checkUsers(); (err == nil) != tt.fine {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
