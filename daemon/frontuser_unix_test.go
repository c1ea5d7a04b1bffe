//go:build unix

package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckFrontUser(t *testing.T) {
	dir, err := os.MkdirTemp("", "gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mkdir := func(mode fs.FileMode, elements ...string) {
		path := filepath.Join(elements...)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	mkdir(0o755, dir, "open")
	mkdir(0o750, dir, "shut")
	mkdir(0o755, dir, "shut", "below")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("shut/below", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		config Config
		user   string
		want   string // with the directory as DIR; empty if nothing is wrong
	}{
		{"a directory on the way", at(t, "unix:"+dir+"/shut/below/s"), "www-data",
			"unix:DIR/shut/below/s: user www-data cannot connect: it may not search DIR/shut, which has the mode 0750, owner root and group root: give it the x bit (chmod o+x DIR/shut), or choose another directory"},
		{"behind a link", at(t, "unix:"+dir+"/link/s,mode=0666"), "www-data",
			"unix:DIR/link/s: user www-data cannot connect: it may not search DIR/shut, which has the mode 0750, owner root and group root: give it the x bit (chmod o+x DIR/shut), or choose another directory"},
		{"the socket", at(t, "unix:"+dir+"/open/s"), "www-data",
			"unix:DIR/open/s: user www-data cannot connect: the socket has the mode 0660, owner root and group root: write mode=, owner= or group= behind the address, as in unix:DIR/open/s,group=www-data"},
		{"the mode of the group", at(t, "unix:"+dir+"/open/s,group=www-data,mode=0606"), "www-data",
			"unix:DIR/open/s: user www-data cannot connect: the socket has the mode 0606, owner root and group www-data: write mode=, owner= or group= behind the address, as in unix:DIR/open/s,group=www-data"},
		{"its group", at(t, "unix:"+dir+"/open/s,group=www-data"), "www-data", ""},
		{"its owner", at(t, "unix:"+dir+"/open/s,owner=www-data,mode=0600"), "www-data", ""},
		{"everybody", at(t, "unix:"+dir+"/open/s,mode=0666"), "33", ""},
		{"root", at(t, "unix:"+dir+"/shut/below/s,owner=www-data,mode=0600"), "root", ""},
		{"nobody asked", at(t, "127.0.0.1:4000"), "www-data",
			"there is no unix:PATH to which --front-user applies: the permissions of a passed socket are set where it is made (SocketUser=, SocketGroup=, SocketMode=)"},
		{"no such user", at(t, "unix:"+dir+"/open/s"), "nobody-here",
			`there is no user "nobody-here": create it, or write another one`},
	}
	others := at(t, "unix:"+dir+"/open/s,group=www-data")
	others.AllowUsers = []uint32{1}
	tests = append(tests, struct {
		name   string
		config Config
		user   string
		want   string
	}{"a list of others", others, "www-data", "user www-data is not in allow_users: add it"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.config.CheckFrontUser(tt.user); err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// at returns a configuration that listens at an address.
func at(t *testing.T, address string) Config {
	t.Helper()
	a, err := ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return Config{FastCGI: []Address{a}}
}
