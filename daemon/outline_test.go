package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestOutline: what has to be known in front of a daemon.
func TestOutline(t *testing.T) {
	for _, tt := range []struct {
		text      string
		listeners []string
		mounts    []Mount
		patience  time.Duration
	}{
		{
			"", []string{"http 127.0.0.1:8080", "fastcgi 127.0.0.1:9000", "scgi 127.0.0.1:4000"},
			[]Mount{{"/", "demo", "demo = true"}}, 180 * time.Second,
		},
		{
			"scgi = [\"systemd:scgi\", \"unix:/run/a.sock,mode=0666\"]\nfirst_byte = \"5m\"\n[[app]]\nprefix = \"/a/\"\nhello = true\n[[app]]\nprefix = \"/b\"\nfastcgi = \"b:1\"\n",
			[]string{"scgi systemd:scgi", "scgi unix:/run/a.sock,mode=0666"},
			[]Mount{{"/a/", "hello", "hello = true"}, {"/b", "fastcgi", `fastcgi = "b:1"`}}, 370 * time.Second,
		},
		{
			"http = \":80\"\n[[app]]\nhello = true\nsilence = \"off\"\n[[app]]\nfastcgi = \"b:1\"\nrole = \"authorizer\"\n",
			[]string{"http :80"}, []Mount{{"/", "hello", "hello = true"}}, 24 * time.Hour,
		},
	} {
		c, err := ParseConfig("g.toml", []byte(tt.text))
		if err != nil {
			t.Fatal(err)
		}
		o, err := c.Outline()
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		var listeners []string
		for _, l := range o.Listeners {
			listeners = append(listeners, fmt.Sprintf("%s %v", l.Protocol, l.Address))
		}
		if !slices.Equal(listeners, tt.listeners) || !slices.Equal(o.Mounts, tt.mounts) || o.Patience != tt.patience {
			t.Errorf("%q: %q %q %v; want %q %q %v", tt.text, listeners, o.Mounts, o.Patience, tt.listeners, tt.mounts, tt.patience)
		}
	}
	for text, want := range map[string]string{
		"[[app]]\nprefix = \"/a\"\nhello = true\n[[app]]\nprefix = \"/a/\"\ndemo = true\n": `prefix "/a/" is mounted twice`,
		"[[app]]\nfastcgi = \"b:1\"\nrole = \"authorizer\"\n":                              "g.toml:1:3 is an authorizer, to which no path leads: add an application of another kind",
	} {
		c, err := ParseConfig("g.toml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Outline(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
}
