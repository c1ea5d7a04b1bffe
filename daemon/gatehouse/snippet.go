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

	"gatehouse/deploy"
)

const snippetUsage = `gatehouse snippet prints a piece of a web server's configuration, to be copied.

    gatehouse snippet apache|haproxy|iis|lighttpd|nginx
                      [serve's flags] [--file FILE]

Each begins with where to copy it, and has the reason for every setting. --file names
another one of the same server, as the folder deploy has them; an unknown name lists them.

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
    > gatehouse snippet iis --app /cgi-bin=scripts:C:\cgi-bin > web.config
    $ gatehouse snippet nginx --file git.conf
`

// A snippetServer is a web server that there are snippets for, in its folder of package
// deploy.
type snippetServer struct {
	name     string
	standard string                                        // the file, without --file
	adapt    func(text string, serveFlags []string) string // nil: its snippets are as they are
}

func snippetServers() []snippetServer {
	return []snippetServer{
		{"apache", "fastcgi.conf", nil},
		{"haproxy", "fastcgi.cfg", nil},
		{"iis", "aspnetcore.config", adaptIIS},
		{"lighttpd", "fastcgi.conf", nil},
		{"nginx", "fastcgi.conf", nil},
	}
}

// snippet prints the configuration of a web server.
func (p *process) snippet(args []string) int {
	var server, file string
	_, help, err := configOf("snippet", args, func() string { return "" },
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
	text, err := snippetOf(server, file, passedOn(args, "file"))
	if err != nil {
		return p.fail(err)
	}
	return p.print(text)
}

// snippetOf returns a snippet. Without a file, it is the usual one of the server.
func snippetOf(server, file string, serveFlags []string) (string, error) {
	servers := snippetServers()
	var names []string
	for _, s := range servers {
		names = append(names, s.name)
	}
	i := slices.Index(names, server)
	switch {
	case server == "":
		return "", fmt.Errorf("snippet needs the name of a web server: %s", strings.Join(names, ", "))
	case i < 0:
		return "", unknown("web server", server, names)
	case servers[i].adapt == nil && len(serveFlags) > 0:
		return "", fmt.Errorf("the snippets of %s are for the addresses in them: leave out %s, and change them", server, serveFlags[0])
	case file == "":
		file = servers[i].standard
	case path.Ext(file) == ".ps1" && len(serveFlags) > 0:
		return "", fmt.Errorf("%s has -Program and -Arguments: leave out %s", file, serveFlags[0])
	}
	text, err := fs.ReadFile(deploy.Files(), path.Join(server, file))
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("--file: %s has no %q: write %s", server, file, strings.Join(snippetFiles(server), ", "))
	}
	if err != nil {
		return "", err
	}
	if adapt := servers[i].adapt; adapt != nil && path.Ext(file) == ".config" {
		return adapt(string(text), serveFlags), nil
	}
	return string(text), nil
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
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
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
