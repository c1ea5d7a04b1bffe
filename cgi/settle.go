package cgi

import (
	"strings"

	"gatehouse/cgi/internal/syntax"
)

// A settledPath is what the variables of a request say about its path.
type settledPath struct {
	path  string // begins with a slash, or is "*", or "" if they say nothing
	mount string // how path begins, up to a segment boundary; it does not end in a slash
	told  bool   // mount is the web server's SCRIPT_NAME; otherwise it is ""
}

// settle makes the path of a request out of its variables, as the package documentation says
// (Paths).
func settle(env *Environ, policy PathPolicy) settledPath {
	v := pathVariables{script: env.Get("SCRIPT_NAME")}
	v.info, v.hasInfo = env.Lookup("PATH_INFO")
	target := rawPath(env.Get("REQUEST_URI"))
	switch policy {
	case PathIIS:
		v.info = trimScriptName(v.script, v.info)
	case PathRequest:
		if target != "" {
			return v.under(rooted(syntax.Unescape(target)))
		}
	}
	v.document = env.Get("DOCUMENT_URI")
	if target != "" && (policy == PathAuto || policy == PathApache) {
		if policy == PathApache {
			v.document = ""
		}
		if p, ok := v.find(newWitness(rooted(target))); ok {
			return p
		}
	}
	if v.document != "" && (policy == PathAuto || policy == PathNginx) {
		// Caddy's DOCUMENT_URI is SCRIPT_NAME alone, so that PATH_INFO has to be a part of
		// both to be taken for one.
		v.scriptEndsInInfo = policy == PathAuto
		if p, ok := v.find(plainWitness(rooted(v.document))); ok {
			return p
		}
	}
	v.document = env.Get("DOCUMENT_URI")
	return v.unwitnessed(target)
}

// pathVariables are those that a web server reports a path in.
type pathVariables struct {
	script, info, document string
	hasInfo                bool
	scriptEndsInInfo       bool // without that SCRIPT_NAME beside PATH_INFO is not the whole path
}

// mount returns SCRIPT_NAME as a mount point.
func (v *pathVariables) mount() string {
	mount := strings.TrimRight(v.script, "/")
	if mount != "" && mount[0] != '/' {
		mount = "/" + mount
	}
	return mount
}

// alone returns SCRIPT_NAME as the whole path.
func (v *pathVariables) alone() settledPath {
	p := settledPath{path: rooted(v.script)}
	if v.hasInfo && v.info == "" && p.path != "*" {
		p.mount, p.told = v.mount(), true
	}
	return p
}

// readings is how many ways of reading the variables there are.
const readings = 4

// reading returns what they say if they are read in the i-th way; ok is false if they cannot
// be.
func (v *pathVariables) reading(i int) (p settledPath, ok bool) {
	switch i {
	case 0: // SCRIPT_NAME, which PATH_INFO is a part of if it was sent
		if v.script == "" || v.scriptEndsInInfo && !strings.HasSuffix(v.script, rooted(v.info)) {
			return p, false
		}
		p = v.alone()
		p.told = p.told || v.info == v.script
	case 1: // SCRIPT_NAME and PATH_INFO
		if v.info == "" {
			return p, false
		}
		p = v.joined()
	case 2: // DOCUMENT_URI, which goes on where SCRIPT_NAME ends
		mount := v.mount()
		if v.document == "" || v.info != "" || !hasPrefix(rooted(v.document), mount) {
			return p, false
		}
		p.path = rooted(v.document)
		p.mount, p.told = mount, v.script != ""
	case 3: // PATH_INFO, which SCRIPT_NAME is a part of
		mount, path := v.mount(), rooted(v.info)
		if v.info == "" || !hasPrefix(path, mount) {
			return p, false
		}
		p.path, p.told = path, true
		if path != mount {
			p.mount = mount
		}
	}
	return p, true
}

// find returns the first reading that the witness confirms.
func (v *pathVariables) find(w witness) (settledPath, bool) {
	for i := range readings {
		p, ok := v.reading(i)
		if !ok {
			continue
		}
		switch w.compare(p.path) {
		case spelledDecoded:
			return p, true
		case spelledRaw:
			p.path, p.mount = syntax.Unescape(p.path), syntax.Unescape(p.mount)
			return p, true
		}
	}
	return settledPath{}, false
}

// unwitnessed returns the path where nothing tells how to read the variables.
func (v *pathVariables) unwitnessed(target string) settledPath {
	switch {
	case v.info != "":
		return v.joined()
	case v.script != "":
		return v.alone()
	case v.document != "":
		return settledPath{path: rooted(v.document)}
	}
	return settledPath{path: rooted(syntax.Unescape(target))}
}

// joined is SCRIPT_NAME and PATH_INFO with one slash between them.
func (v *pathVariables) joined() settledPath {
	mount := v.mount()
	if mount == "" {
		return settledPath{path: rooted(v.info), told: true}
	}
	info := v.info
	if info != "" && info[0] != '/' {
		info = "/" + info
	}
	return settledPath{path: mount + info, mount: mount, told: true}
}

// under returns path with SCRIPT_NAME as the mount point, if it is how path begins and not
// the whole of it that was sent.
func (v *pathVariables) under(path string) settledPath {
	p := settledPath{path: path}
	if mount := v.mount(); v.script != "" && hasPrefix(path, mount) && (v.hasInfo || path != mount) {
		p.mount, p.told = mount, true
	}
	return p
}

// rooted returns a path with a slash at its beginning, unless it is empty or the "*" of
// OPTIONS.
func rooted(path string) string {
	if path == "" || path[0] == '/' || path == "*" {
		return path
	}
	return "/" + path
}

// A spelling says in which form a path equals the witness.
type spelling uint8

const (
	notSpelled     spelling = iota
	spelledDecoded          // perhaps except "%2F"
	spelledRaw              // not decoded
)

// A witness is a path that is known to be what the client asked for.
type witness struct {
	raw     string
	decoded string
	escaped bool // raw has an escape
}

// newWitness returns the witness of a path that is not decoded.
func newWitness(raw string) witness {
	return witness{raw, syntax.Unescape(raw), strings.IndexByte(raw, '%') >= 0}
}

// plainWitness returns the witness of a path that is decoded.
func plainWitness(path string) witness { return witness{raw: path, decoded: path} }

// compare compares a path with the witness.
func (w witness) compare(path string) spelling {
	switch {
	case same(path, w.decoded):
		return spelledDecoded
	case !w.escaped:
		return notSpelled
	case same(path, unescapeButSlash(w.raw)):
		return spelledDecoded
	case same(path, w.raw):
		return spelledRaw
	}
	return notSpelled
}

// same reports whether two paths are the same to a web server that cleans them.
func same(a, b string) bool { return a == b || cleanPath(a) == cleanPath(b) }
