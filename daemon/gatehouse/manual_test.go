package main

import (
	"strings"
	"testing"

	"gatehouse/daemon"
)

// TestPages: the man pages have all keys, limits and commands.
func TestPages(t *testing.T) {
	config := pages["gatehouse.toml.5"]()
	for _, k := range daemon.KeyTable() {
		if !strings.Contains(config, ".TP\n\\fB"+escape(k.Name+" = "+k.Example)+"\\fR\n") {
			t.Errorf("gatehouse.toml(5) has no key %s", k.Name)
		}
	}
	for _, l := range daemon.LimitTable() {
		if !strings.Contains(config, ".TP\n\\fB"+l.Key) {
			t.Errorf("gatehouse.toml(5) has no limit %s", l.Key)
		}
	}
	for _, f := range daemon.AccessFields() {
		if !strings.Contains(config, ".TP\n\\fB$"+escape(f.Name)+"\\fR\n") {
			t.Errorf("gatehouse.toml(5) has no field %s", f.Name)
		}
	}
	page := pages["gatehouse.1"]()
	for _, s := range synopses() {
		if !strings.Contains(page, "\ngatehouse "+s.command) {
			t.Errorf("gatehouse(1) has no command %s", s.command)
		}
		for _, f := range s.flags {
			if !strings.Contains(page, escape("--"+f.name)) {
				t.Errorf("gatehouse(1) has no flag --%s", f.name)
			}
		}
	}
	for name, page := range pages {
		for line := range strings.Lines(page()) {
			if strings.HasPrefix(line, "'") || strings.Contains(line, "\x00") {
				t.Errorf("%s: the line %q is not text", name, line)
			}
		}
	}
}
