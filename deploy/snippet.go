package deploy

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed snippet/*.tmpl
var templates embed.FS

// A Gateway is a gatehouse as the web server in front of it sees it.
type Gateway struct {
	Listeners []Listener
	Mounts    []Mount       // at least one
	Timeout   time.Duration // the web server's, which is longer than any of the gateway's own
}

// A Listener is where a gateway listens.
type Listener struct {
	Protocol string // "fastcgi", "scgi" or "http"
	Name     string // as it is configured, for messages and comments

	Path string // of a unix socket; empty for TCP
	Host string // an IP address or a name, of TCP
	Port uint16

	// Mode, Owner and Group say who may connect to a unix socket. Without an owner or a group
	// it has those of the gateway.
	Mode         fs.FileMode
	Owner, Group string

	Remarks []string // what the administrator has to know about it
	Err     error    // if not nil, why no web server can be told to connect, and what to write instead
}

// A Mount is an application and the prefix of the paths that are its own.
type Mount struct {
	Prefix string // "/", or without a slash at its end
	Source string // what is mounted, for a comment
	Files  bool   // files, which a web server could serve as well
	Kept   bool   // an application that is worth keeping connections for
}

// Root reports whether all paths are the mount's.
func (m Mount) Root() bool { return m.Prefix == "/" }

// Below is what the paths below the prefix begin with.
func (m Mount) Below() string { return m.Prefix + "/" }

// SnippetServers returns the web servers that Snippet knows.
func SnippetServers() (names []string) {
	for _, d := range dialects() {
		names = append(names, d.server)
	}
	return names
}

// Snippet returns a configuration that makes a web server pass on the requests for all mounts
// of g. Of the listeners it takes the one that suits the server best. The error has a line for
// each listener if none will do.
func Snippet(server string, g Gateway) (string, error) {
	i := slices.IndexFunc(dialects(), func(d dialect) bool { return d.server == server })
	if i < 0 {
		return "", fmt.Errorf("there is no snippet for %q: there are some for %s", server, strings.Join(SnippetServers(), ", "))
	}
	d := dialects()[i]
	l, err := d.choose(g.Listeners)
	if err != nil {
		return "", err
	}
	for _, m := range g.Mounts {
		if err := d.checkPrefix(m.Prefix); err != nil {
			return "", err
		}
	}
	v := newView(d, l, g)
	t, err := template.New(server+".tmpl").Funcs(template.FuncMap{
		"quote":   d.quote,
		"comment": comment,
		"remarks": func() string { return v.remarks(d, g.Listeners) },
	}).ParseFS(templates, "snippet/"+server+".tmpl")
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// choose returns the listener that suits the server best: one with the first of its protocols
// that has any, and a unix socket, whose permissions say who may connect, rather than a port.
// The first listed wins.
func (d *dialect) choose(listeners []Listener) (Listener, error) {
	var fit []Listener
	var errs []error
	for _, l := range listeners {
		l, err := d.fit(l)
		if err == nil {
			fit = append(fit, l)
		} else {
			errs = append(errs, err)
		}
	}
	if len(fit) == 0 {
		return Listener{}, errors.Join(errs...)
	}
	ports := func(l Listener) int {
		if l.Path == "" {
			return 1
		}
		return 0
	}
	return slices.MinFunc(fit, func(a, b Listener) int {
		return cmp.Or(d.rank(a.Protocol)-d.rank(b.Protocol), ports(a)-ports(b))
	}), nil
}

// fit returns l as the server sees it, or why the server cannot connect.
func (d *dialect) fit(l Listener) (Listener, error) {
	flag := "--" + l.Protocol
	switch {
	case d.rank(l.Protocol) < 0:
		return l, fmt.Errorf("%s %s: %s does not speak %s: start gatehouse with %s, too", flag, l.Name, d.title, titleOf(l.Protocol), d.instead)
	case l.Err != nil:
		return l, fmt.Errorf("%s %s: %w", flag, l.Name, l.Err)
	case l.Path != "":
		if c, ok := d.strayIn(l.Path); ok {
			return l, fmt.Errorf("%s %s: the path has %q, which %s may take for something else: choose one of letters, digits, \".\", \"_\" and \"-\"",
				flag, l.Name, c, d.title)
		}
		if d.chroot == "" {
			return l, nil
		}
		within, ok := strings.CutPrefix(l.Path, d.chroot)
		if !ok || !strings.HasPrefix(within, "/") {
			return l, fmt.Errorf("%s %s: Debian's %s runs in the chroot %s, and reaches no socket outside it: start gatehouse with %s, too, or with a socket below %[4]s",
				flag, l.Name, d.title, d.chroot, d.instead)
		}
		l.Path = within
		l.Remarks = append(l.Remarks, fmt.Sprintf("Debian's %s runs in the chroot %s: the path of the socket is the one inside it.", d.title, d.chroot))
	case !isHost(l.Host):
		return l, fmt.Errorf("%s %s: %q is neither an address nor the name of a host", flag, l.Name, l.Host)
	}
	return l, nil
}

// checkPrefix returns why the paths below a prefix cannot be told apart by the server.
func (d *dialect) checkPrefix(prefix string) error {
	switch c, bad := unprintable(prefix); {
	case bad:
		return fmt.Errorf("prefix %q has the character %q, which no configuration of a web server can hold: choose another prefix", prefix, c)
	case len(prefix) > maxPrefix:
		return fmt.Errorf("prefix %q is %d bytes long, in a snippet at most %d: choose a shorter one", prefix, len(prefix), maxPrefix)
	case prefix == "/":
		return nil
	case !strings.HasPrefix(prefix, "/"):
		return fmt.Errorf("prefix %q does not begin with a slash", prefix)
	}
	for segment := range strings.SplitSeq(prefix[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("prefix %q has the segment %q, which no web server leaves in a path: choose another prefix", prefix, segment)
		}
	}
	if d.never != "" && strings.Contains(prefix, d.never) {
		return fmt.Errorf("prefix %q has %q, which %s would replace: choose another prefix", prefix, d.never, d.title)
	}
	return nil
}

// maxPrefix bounds the length of a prefix, in bytes. Some servers bound that of a line.
const maxPrefix = 256

// A view is what the templates get.
type view struct {
	Listener
	Mounts []mountView // longer prefixes first

	Spoken  string // the name of the protocol
	Word    string // the server's word for it
	Address string // in the server's own form
	Pattern string // a regular expression for all prefixes
	Seconds int64  // the timeout
	Keep    bool   // whether connections are kept where the server has a choice
	Root    bool   // whether all paths go to the gateway
}

// A mountView is a mount, and the comment about it.
type mountView struct {
	Mount
	About string
}

func newView(d dialect, l Listener, g Gateway) *view {
	v := &view{Listener: l, Spoken: titleOf(l.Protocol), Word: d.word(l.Protocol), Address: l.address(d.unix), Pattern: pattern(g.Mounts),
		Seconds: int64((g.Timeout + time.Second - 1) / time.Second)}
	for _, m := range g.Mounts {
		about := m.Prefix + ": " + m.Source
		if m.Files {
			about += fmt.Sprintf(". %s can serve files itself, if it may read them.", d.title)
		}
		v.Mounts = append(v.Mounts, mountView{m, about})
		v.Root = v.Root || m.Root()
		v.Keep = v.Keep || m.Kept
	}
	slices.SortStableFunc(v.Mounts, func(a, b mountView) int { return len(b.Prefix) - len(a.Prefix) })
	v.Keep = l.Protocol != "scgi" && (v.Keep || l.Path == "" || l.Protocol == "http")
	return v
}

// address returns where a server connects to. unix stands before the path of a socket.
func (l Listener) address(unix string) string {
	if l.Path != "" {
		return unix + l.Path
	}
	return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
}

// titleOf returns the name of a protocol in prose.
func titleOf(protocol string) string {
	if protocol == "fastcgi" {
		return "FastCGI"
	}
	return strings.ToUpper(protocol)
}

// remarks returns the comment about where the gateway listens.
func (v *view) remarks(d dialect, listeners []Listener) string {
	paragraphs := []string{fmt.Sprintf("gatehouse listens for %s at %s.", v.Spoken, v.Name)}
	var others []string
	for _, l := range listeners {
		if l.Protocol != v.Protocol || l.Name != v.Name {
			others = append(others, fmt.Sprintf("%s at %s", titleOf(l.Protocol), l.Name))
		}
	}
	if len(others) > 0 {
		paragraphs[0] += " It also listens for " + strings.Join(others, " and ") + ", which this snippet does not use."
	}
	paragraphs = append(paragraphs, v.Remarks...)
	if v.Path != "" && v.Mode&0o002 == 0 && v.Owner != d.user && !slices.Contains(d.groups, v.Group) {
		p := fmt.Sprintf("Debian's %s runs as user %s, which", d.title, d.user)
		if v.Group != "" {
			p += fmt.Sprintf(" may connect only if it is in group %s.", v.Group)
		} else {
			p += fmt.Sprintf(" may not connect, unless gatehouse runs as that user, too: write %s,group=%s.", v.Name, d.groups[len(d.groups)-1])
		}
		paragraphs = append(paragraphs, p)
	}
	if v.Protocol == "http" {
		paragraphs = append(paragraphs, fmt.Sprintf("Over HTTP, programs get %s as the client (REMOTE_ADDR), unless trusted_proxies names it. Over FastCGI they get the client itself.", d.title))
	}
	var b strings.Builder
	for _, p := range paragraphs {
		b.WriteString("#\n" + comment("", p) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
