package main

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestCommandLineOf has the rules of the C runtime of Windows.
func TestCommandLineOf(t *testing.T) {
	for want, args := range map[string][]string{
		`serve --app demo`:                     {"serve", "--app", "demo"},
		`"a b" ""`:                             {"a b", ""},
		`C:\x\ "C:\a b\\" "say \"hi\"" "\\\""`: {`C:\x\`, `C:\a b\`, `say "hi"`, `\"`},
	} {
		if got := commandLineOf(args); got != want {
			t.Errorf("%q: %s; want %s", args, got, want)
		}
	}
}

// TestSnippetIIS: every snippet for IIS names the program and the arguments where they can be
// replaced.
func TestSnippetIIS(t *testing.T) {
	for _, file := range snippetFiles("iis") {
		if file == "register.ps1" {
			continue
		}
		text, err := snippetOf("iis", file, []string{"--app", `/=scripts:C:\a & b`})
		if err != nil {
			t.Fatal(err)
		}
		program := iisProgram
		if runtime.GOOS == "windows" {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			program = escapeXML(self)
		}
		if !strings.Contains(text, program) {
			t.Errorf("%s does not name the program", file)
		}
		if has := !strings.HasPrefix(file, "cgi"); strings.Contains(text, "&#34;/=scripts:C:\\a &amp; b&#34;") != has || strings.Contains(text, iisArguments) {
			t.Errorf("%s has not the flags:\n%s", file, text)
		}
	}
}

// TestSnippets: each server has its standard file, and errors say what there is.
func TestSnippets(t *testing.T) {
	for _, s := range snippetServers() {
		if text, err := snippetOf(s.name, "", nil); err != nil || text == "" {
			t.Errorf("%s: %v", s.name, err)
		}
	}
	for want, args := range map[string][]string{
		"snippet needs the name of a web server: apache, haproxy, iis, lighttpd, nginx":                  {"", ""},
		`unknown web server "ngimx": did you mean "nginx"?`:                                              {"ngimx", ""},
		`unknown web server "caddy": write one of apache, haproxy, iis, lighttpd, nginx`:                 {"caddy", ""},
		`--file: haproxy has no "x.conf": write fastcgi.cfg, gateways.cfg, go-application.cfg, site.cfg`: {"haproxy", "x.conf"},
		`--file: haproxy has no "../x": write fastcgi.cfg, gateways.cfg, go-application.cfg, site.cfg`:   {"haproxy", "../x"},
		"register.ps1 has -Program and -Arguments: leave out --app":                                      {"iis", "register.ps1", "--app", "demo"},
		"the snippets of nginx are for the addresses in them: leave out --app, and change them":          {"nginx", "", "--app", "demo"},
	} {
		if _, err := snippetOf(args[0], args[1], args[2:]); err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", args, err, want)
		}
	}
}
