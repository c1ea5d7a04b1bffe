package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/daemon"
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
		text, err := snippetOf("iis", file, nil, []string{"--app", `/=scripts:C:\a & b`})
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

// TestEscapeXML: what a parser reads is the text, whatever an encoding makes of it on its way.
func TestEscapeXML(t *testing.T) {
	const text = `C:\Сайт & "😀"\x.exe`
	got := escapeXML(text)
	for _, c := range got {
		if c >= utf8.RuneSelf {
			t.Errorf("%q has %q", got, c)
		}
	}
	var back struct {
		Text string `xml:",chardata"`
	}
	if err := xml.Unmarshal([]byte("<x>"+got+"</x>"), &back); err != nil || back.Text != text {
		t.Errorf("%q is read as %q, %v", got, back.Text, err)
	}
}

// TestSnippets: each server has its usual snippet, and errors say what there is.
func TestSnippets(t *testing.T) {
	for _, s := range snippetServers() {
		if text, err := snippetOf(s, "", nil, nil); err != nil || !strings.Contains(text, "gatehouse") {
			t.Errorf("%s: %v", s, err)
		}
	}
	for want, args := range map[string][]string{
		"snippet needs the name of a web server: apache, caddy, haproxy, iis, lighttpd, nginx":   {"", ""},
		`unknown web server "ngimx": did you mean "nginx"?`:                                      {"ngimx", ""},
		`unknown web server "thttpd": write one of apache, caddy, haproxy, iis, lighttpd, nginx`: {"thttpd", ""},
		`--file: haproxy has no "../x": write ` + strings.Join(snippetFiles("haproxy"), ", "):    {"haproxy", "../x"},
		"register.ps1 has -Program and -Arguments: leave out --app":                              {"iis", "register.ps1", "--app", "demo"},
		"--file is for a file as it is: leave out --app, or --file":                              {"nginx", "git.conf", "--app", "demo"},
	} {
		if _, err := snippetOf(args[0], args[1], new(daemon.Config), args[2:]); err == nil || err.Error() != want {
			t.Errorf("%q: %v; want %s", args, err, want)
		}
	}
}

// TestSnippetPackaged: without flags it is the gateway that the packages start.
func TestSnippetPackaged(t *testing.T) {
	unit, err := os.ReadFile("../../deploy/systemd/gatehouse.socket")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("../../deploy/packaging/gatehouse.toml")
	if err != nil {
		t.Fatal(err)
	}
	g := packaged()
	l, m := g.Listeners[0], g.Mounts[0]
	for _, want := range []string{"ListenStream=" + l.Path, "SocketGroup=" + l.Group, fmt.Sprintf("SocketMode=%04o", l.Mode)} {
		if !strings.Contains(string(unit), want+"\n") {
			t.Errorf("gatehouse.socket has no %s", want)
		}
	}
	if !regexp.MustCompile(`(?m)^prefix += "`+m.Prefix+`"$`).Match(config) || !strings.Contains(string(config), "\n"+m.Source+"\n") {
		t.Errorf("gatehouse.toml has no %+v", m)
	}
	if got := packagedSocket("fastcgi", standardConfig); got != l.Path {
		t.Errorf("the socket of %s is %q", standardConfig, got)
	}
	if o, err := new(daemon.Config).Outline(); err != nil || o.Patience != g.Timeout {
		t.Errorf("timeout %v, want %v, %v", g.Timeout, o.Patience, err)
	}
}

// TestSnippetAddresses: what an address is to a web server on this machine.
func TestSnippetAddresses(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		where string // the path, or HOST PORT
		says  string // in the remarks, or the error
	}{
		{[]string{"--fastcgi", "unix:/run/g.sock,mode=0666"}, "/run/g.sock", ""},
		{[]string{"--fastcgi", "127.0.0.1:9000"}, "127.0.0.1 9000", "Every user of this machine can connect to that port"},
		{[]string{"--http", "127.0.0.1:9000"}, "127.0.0.1 9000", ""},
		{[]string{"--scgi", "LOCALHOST:4000"}, "127.0.0.1 4000", "Every user"},
		{[]string{"--scgi", "[::ffff:127.0.0.1]:4000"}, "127.0.0.1 4000", "Every user"},
		{[]string{"--fastcgi", ":9000"}, "127.0.0.1 9000", "only with --allow and the address that the web server connects from"},
		{[]string{"--fastcgi", "[::]:9000", "--allow", "::/0"}, "::1 9000", "gatehouse accepts connections from ::/0 only (--allow), so the web server has to connect from there. gatehouse listens at every address of this machine. A web server on another one connects to one of those in place of ::1."},
		{[]string{"--fastcgi", "[::]:9000", "--allow", "127.0.0.1"}, "", "it is every address of this machine, and --allow does not have ::1: write the one that the web server connects to, or add --allow ::1"},
		{[]string{"--fastcgi", "0.0.0.0:9000", "--allow", "10.0.0.0/8", "--allow", "192.0.2.7"}, "", "and --allow does not have 127.0.0.1"},
		{[]string{"--fastcgi", "10.0.0.2:9000", "--allow", "10.0.0.0/8", "--allow", "192.0.2.7"}, "10.0.0.2 9000", "from 10.0.0.0/8, 192.0.2.7/32 only (--allow)"},
		{[]string{"--fastcgi", "gateway.example:9000"}, "gateway.example 9000", "only with --allow"},
		{[]string{"--http", ":8080"}, "127.0.0.1 8080", "Other machines can reach that address without the web server; --allow keeps them out. gatehouse listens at every address"},
		{[]string{"--http", ":8080", "--allow", "10.0.0.0/8"}, "", "--allow does not have 127.0.0.1"},
		{[]string{"--fastcgi", "127.0.0.1:0"}, "", "it is another port after each start: write a port"},
		{[]string{"--fastcgi", "[fe80::1%eth0]:9000"}, "", "write an address without %eth0"},
		{[]string{"--fastcgi", "fd:3"}, "", "what starts gatehouse has opened it: write the address, as in --fastcgi unix:PATH"},
		{[]string{"--scgi", "systemd:scgi"}, "", "its socket unit says where: write the ListenStream= of that, as in --scgi unix:PATH"},
		{[]string{"--fastcgi", "systemd:fastcgi"}, "", "its socket unit says where"},
	} {
		config, _, err := configOf("snippet", tt.flags, func() string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		g, err := gatewayOf(config)
		if err != nil {
			t.Fatal(err)
		}
		l := g.Listeners[0]
		if tt.where == "" {
			if l.Err == nil || !strings.Contains(l.Err.Error(), tt.says) {
				t.Errorf("%q: error %v; want %s", tt.flags, l.Err, tt.says)
			}
			continue
		}
		where := filepath.ToSlash(strings.TrimPrefix(l.Path, filepath.VolumeName(l.Path)))
		if where == "" {
			where = fmt.Sprintf("%s %d", l.Host, l.Port)
		}
		if says := strings.Join(l.Remarks, " "); l.Err != nil || where != tt.where || !strings.Contains(says, tt.says) || (tt.says == "") != (says == "") {
			t.Errorf("%q: %s, %v, %q; want %s, %q", tt.flags, where, l.Err, says, tt.where, tt.says)
		}
	}
}

// TestSnippetSites: where the socket units of the packages listen, for their configurations.
func TestSnippetSites(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"fastcgi", "/etc/gatehouse/git.toml", "/run/gatehouse/git.sock"},
		{"scgi", "/etc/gatehouse/git.toml", ""},
		{"fastcgi", "/etc/gatehouse/sites/git.toml", ""},
		{"fastcgi", "/etc/gatehouse/git.conf", ""},
		{"fastcgi", "", ""},
	} {
		if got := packagedSocket(tt.name, tt.file); got != tt.want {
			t.Errorf("%s in %s: %q; want %q", tt.name, tt.file, got, tt.want)
		}
	}
}

// TestIISModulesPage: docs/iis.md says of each module what reaches the client at once, and what
// its snippet needs for that; the usual snippet is for one that streams whatever its settings.
func TestIISModulesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/iis.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string) // what reaches the client, by the snippet
	for _, row := range regexp.MustCompile("(?m)^\\| [^|]+ \\| [^|]+ \\| ([^|]+) \\| [^|]+ \\| [^|]+ \\| `([a-z]+\\.config)`").FindAllStringSubmatch(string(page), -1) {
		rows[row[2]] = row[1]
	}
	for _, file := range snippetFiles("iis") {
		if strings.HasSuffix(file, ".applicationHost.config") || strings.HasSuffix(file, ".ps1") {
			continue
		}
		text, err := snippetOf("iis", file, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		says, unbuffered := rows[file], strings.Contains(text, `responseBufferLimit="0"`)
		if streams := strings.HasPrefix(says, "everything"); says == "" || streams == (file == "httpplatform.config") ||
			unbuffered != strings.Contains(says, "responseBufferLimit") {
			t.Errorf("%s: docs/iis.md says %q; responseBufferLimit is 0: %v", file, says, unbuffered)
		}
	}
	usual := usualFile("iis")
	want, err := snippetOf("iis", usual, nil, nil)
	if err != nil || !strings.HasPrefix(rows[usual], "everything: event streams work") {
		t.Errorf("%s is the usual snippet: %q, %v", usual, rows[usual], err)
	}
	if got, err := snippetOf("iis", "", nil, nil); err != nil || got != want {
		t.Errorf("snippet iis: %v, %q; want %s", err, got, usual)
	}
}
