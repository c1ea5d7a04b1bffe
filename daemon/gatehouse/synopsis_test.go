package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSynopses: the usage, from which completion is made, has every command, and every
// flag of each that the source has; and no other.
func TestSynopses(t *testing.T) {
	list := synopses()
	var names []string
	shown := make(map[string]bool)
	for _, s := range list {
		names = append(names, s.command)
		for _, f := range s.flags {
			shown[f.name] = true
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(commands))) {
		t.Errorf("the usage shows %q; the commands are %q", names, commands)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`\{name: "([a-z][a-z-]+)", set: `).FindAllStringSubmatch(string(text), -1) {
			taken[m[1]] = true
			if !shown[m[1]] {
				t.Errorf("%s takes --%s, which no usage shows", file, m[1])
			}
		}
	}
	for name := range shown {
		if !taken[name] {
			t.Errorf("the usage shows --%s, which no command takes", name)
		}
	}
}

func TestCompletionOfValues(t *testing.T) {
	for _, c := range []struct {
		command, flag string
		want          completion
	}{
		{"serve", "config", completion{files: true}},
		{"serve", "allow-users", completion{users: true}},
		{"serve", "access-log", completion{words: []string{"off", "stderr", "syslog"}, files: true}},
		{"serve", "multiplex", completion{words: []string{"true", "false"}}},
		{"serve", "fastcgi", completion{words: []string{"unix:", "fd:", "systemd:", "npipe:"}}},
		{"serve", "app", completion{words: []string{"demo", "hello", "scripts:", "files:", "fastcgi:", "fastcgi-exec:", "scgi:", "wsgi:"}}},
		{"serve", "allow", completion{}},
		{"explain", "scgi", completion{words: []string{"unix:", "fd:", "systemd:", "npipe:"}}},
		{"explain", "as", completion{words: []string{"nginx", "apache", "proxy"}}},
		{"serve", "trusted-proxies", completion{words: []string{"unix"}}},
		{"conform", "timeout", completion{}},
	} {
		found := false
		for _, s := range synopses() {
			for _, f := range s.flags {
				if s.command != c.command || f.name != c.flag {
					continue
				}
				if found {
					t.Errorf("%s --%s is there twice", c.command, c.flag)
				}
				found = true
				if got := f.completion(); !slices.Equal(got.words, c.want.words) || got.files != c.want.files || got.users != c.want.users {
					t.Errorf("%s --%s: %+v; want %+v", c.command, c.flag, got, c.want)
				}
			}
		}
		if !found {
			t.Errorf("%s has no --%s", c.command, c.flag)
		}
	}
}
