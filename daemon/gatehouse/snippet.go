package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/daemon"
	"gatehouse/deploy"
)

const snippetUsage = `gatehouse snippet prints a piece of a web server's configuration, to be copied.

    gatehouse snippet apache|caddy|haproxy|iis|lighttpd|nginx
                      [serve's flags] [--file FILE]

Each begins with where to copy it, and has the reason for every setting.

With flags of serve, or --config, it is the one for a gatehouse that is started with them:
it connects where that gatehouse listens, passes on the paths that it has applications for,
and waits longer than it does. Of several addresses it takes the one that suits the web
server best: FastCGI rather than SCGI, that rather than HTTP, a unix socket rather than a
port. For systemd:NAME and fd:N, write the address itself. Without flags it is the usual
file, for the packages or deploy/gatehouse.toml; --file names another one, as the folder
deploy has them, and an unknown name lists them.

HAProxy and Caddy do not speak SCGI. Debian's HAProxy runs in a chroot: it needs a port, or a
socket below /var/lib/haproxy.

For iis, the program is this one, with serve and the flags that follow, or else with
--config C:\ProgramData\gatehouse\gatehouse.toml. IIS itself says where to listen. It is
    aspnetcore.config                the ASP.NET Core Module, by default: it streams
    httpplatform.config              HttpPlatformHandler, which holds 8 kB back
    fastcgi.config                   the FastCGI module
    fastcgi.applicationHost.config
    cgi.config                       the CGI module
    cgi.applicationHost.config
    register.ps1                     a script that registers any of them

Examples:
    $ gatehouse snippet nginx --config /etc/gatehouse/gatehouse.toml
    $ gatehouse snippet haproxy --fastcgi 127.0.0.1:9000 --app /cgi-bin=scripts:/usr/lib/cgi-bin
    $ gatehouse snippet nginx --file git.conf
    > gatehouse snippet iis --app /cgi-bin=scripts:C:\cgi-bin > web.config
`

// snippetServers returns the web servers that there are snippets for.
func snippetServers() []string {
	names := append(deploy.SnippetServers(), "iis")
	slices.Sort(names)
	return names
}

// snippet prints the configuration of a web server.
func (p *process) snippet(args []string) int {
	var server, file string
	config, help, err := configOf("snippet", args, func() string { return "" },
		option{name: "file", set: setTo(&file)},
		option{set: func(s string) error {
			if server != "" {
				return fmt.Errorf("snippet takes one web server: leave out %q", s)
			}
			server = s
			return nil
		}})
	switch {
	case err != nil:
		return p.fail(err)
	case help:
		return p.print(snippetUsage)
	}
	text, err := snippetOf(server, file, config, passedOn(args, "file"))
	if err != nil {
		return p.fail(err)
	}
	return p.print(text)
}

// snippetOf returns a snippet: the file of a server, or the one that suits the configuration,
// which the flags have made.
func snippetOf(server, file string, config *daemon.Config, serveFlags []string) (string, error) {
	servers := snippetServers()
	switch {
	case server == "":
		return "", fmt.Errorf("snippet needs the name of a web server: %s", strings.Join(servers, ", "))
	case !slices.Contains(servers, server):
		return "", unknown("web server", server, servers)
	case server == "iis" && path.Ext(file) == ".ps1" && len(serveFlags) > 0:
		return "", fmt.Errorf("%s has -Program and -Arguments: leave out %s", file, serveFlags[0])
	case server != "iis" && file != "" && len(serveFlags) > 0:
		return "", fmt.Errorf("--file is for a file as it is: leave out %s, or --file", serveFlags[0])
	case server != "iis" && len(serveFlags) > 0:
		g, err := gatewayOf(config)
		if err != nil {
			return "", err
		}
		return deploy.Snippet(server, g)
	case file == "":
		file = usualFile(server)
	}
	if file == "" {
		return deploy.Snippet(server, packaged())
	}
	text, err := fs.ReadFile(deploy.Files(), path.Join(server, file))
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--file: %s has no %q: %s", server, file, otherwise(snippetFiles(server)))
	}
	if err != nil {
		return "", err
	}
	if server == "iis" && path.Ext(file) == ".config" {
		return adaptIIS(string(text), serveFlags), nil
	}
	return string(text), nil
}

// otherwise says which files there are.
func otherwise(files []string) string {
	if len(files) == 0 {
		return "leave it out"
	}
	return "write " + strings.Join(files, ", ")
}

// usualFile returns the file of a server that is printed without --file: the one for FastCGI,
// or "" if there is none.
func usualFile(server string) string {
	if server == "iis" {
		return "aspnetcore.config"
	}
	files := snippetFiles(server)
	if i := slices.IndexFunc(files, func(name string) bool { return strings.HasPrefix(name, "fastcgi.") }); i >= 0 {
		return files[i]
	}
	return ""
}

// packaged returns the gateway that the packages start.
func packaged() deploy.Gateway {
	return deploy.Gateway{
		Listeners: []deploy.Listener{{Protocol: "fastcgi", Name: "unix:/run/gatehouse/fastcgi.sock", Path: "/run/gatehouse/fastcgi.sock", Mode: 0o660, Group: "www-data"}},
		Mounts:    []deploy.Mount{{Prefix: "/cgi-bin", Source: `scripts = "/usr/lib/cgi-bin"`}},
		Timeout:   3 * time.Minute,
	}
}

// snippetFiles returns the names of the snippets of a server.
func snippetFiles(server string) (names []string) {
	entries, _ := fs.ReadDir(deploy.Files(), server)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What the snippets for IIS have as the program, and as its arguments.
const (
	iisProgram   = `C:\Program Files\gatehouse\gatehouse.exe`
	iisArguments = `serve --config C:\ProgramData\gatehouse\gatehouse.toml`
)

// adaptIIS puts this program and serve's flags into a snippet for IIS. On other systems than
// Windows, the program stays.
func adaptIIS(text string, serveFlags []string) string {
	if len(serveFlags) > 0 {
		text = strings.ReplaceAll(text, iisArguments, escapeXML(commandLineOf(append([]string{"serve"}, serveFlags...))))
	}
	if self, err := os.Executable(); err == nil && runtime.GOOS == "windows" {
		text = strings.ReplaceAll(text, iisProgram, escapeXML(self))
	}
	return text
}

func escapeXML(s string) string {
	var escaped, b strings.Builder
	xml.EscapeText(&escaped, []byte(s)) // a strings.Builder takes everything
	for _, c := range escaped.String() {
		if c < utf8.RuneSelf {
			b.WriteRune(c)
		} else { // PowerShell reads what it redirects in the code page of the console
			fmt.Fprintf(&b, "&#%d;", c)
		}
	}
	return b.String()
}

// commandLineOf joins arguments as Windows programs divide their command lines: those with
// spaces are in double quotes, before which a backslash is doubled.
func commandLineOf(args []string) string {
	var words []string
	for _, a := range args {
		if a != "" && !strings.ContainsAny(a, " \t\"") {
			words = append(words, a)
			continue
		}
		var b strings.Builder
		backslashes := 0
		for _, c := range a {
			switch c {
			case '\\':
				backslashes++
				continue
			case '"':
				b.WriteString(strings.Repeat(`\`, 2*backslashes+1))
			default:
				b.WriteString(strings.Repeat(`\`, backslashes))
			}
			b.WriteRune(c)
			backslashes = 0
		}
		words = append(words, `"`+b.String()+strings.Repeat(`\`, 2*backslashes)+`"`)
	}
	return strings.Join(words, " ")
}
