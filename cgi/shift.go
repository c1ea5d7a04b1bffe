package cgi

import (
	"bytes"
	"strings"
)

// ShiftPathInfo moves the first segment of PATH_INFO to the end of SCRIPT_NAME, and
// returns it: an application that is a tree of applications finds the next branch by
// it. It is wsgiref's shift_path_info.
//
// If PATH_INFO is empty or not set, ok is false and nothing has changed. Otherwise
// both variables are set, and:
//
//   - Empty segments and "." are skipped, and removed from what stays in PATH_INFO,
//     but not at its end: there an empty one tells "/x/" from "/x".
//   - A PATH_INFO of "/" gives the name "" and puts a slash at the end of
//     SCRIPT_NAME. One of "/." becomes empty, and ok is false.
//   - SCRIPT_NAME is normalised as POSIX has it (posixpath.normpath), so the name
//     ".." removes its last segment, and two slashes at its beginning stay. The
//     application must not use that name as a way up anywhere else.
//   - A PATH_INFO that does not begin with a slash is read as if it did.
//
// A request under a [Mux] continues where the Mux has split the path. One call takes
// time in proportion to the length of the path.
func ShiftPathInfo(env *Environ) (name string, ok bool) {
	info := env.Get("PATH_INFO")
	if info == "" {
		return "", false
	}
	name, rest := cutSegment(info)
	script := strings.TrimSuffix(normalPath(env.Get("SCRIPT_NAME")+"/"+name), "/")
	if name == "" && !strings.HasSuffix(script, "/") {
		script += "/"
	}
	env.Set("SCRIPT_NAME", script)
	env.Set("PATH_INFO", rest)
	if name == "." {
		return "", false
	}
	return name, true
}

// cutSegment returns the first segment of a path that is neither empty nor ".",
// or else the last one, and the rest, cleared of such segments but for the last.
func cutSegment(path string) (name, rest string) {
	path = strings.TrimPrefix(path, "/")
	for {
		name, rest, more := strings.Cut(path, "/")
		if !more {
			return name, ""
		}
		if name != "" && name != "." {
			return name, "/" + dropEmpty(rest)
		}
		path = rest
	}
}

// dropEmpty removes the segments that are empty or ".", but for the last.
func dropEmpty(path string) string {
	var b strings.Builder
	for {
		segment, rest, more := strings.Cut(path, "/")
		if !more {
			b.WriteString(segment)
			return b.String()
		}
		if segment != "" && segment != "." {
			b.WriteString(segment)
			b.WriteByte('/')
		}
		path = rest
	}
}

// normalPath is posixpath.normpath. Unlike path.Clean it keeps two slashes at the
// beginning, to which POSIX gives a meaning of their own; three or more are one.
func normalPath(path string) string {
	root := len(path) - len(strings.TrimLeft(path, "/"))
	if root > 2 {
		root = 1
	}
	out := append(make([]byte, 0, len(path)), path[:root]...)
	floor := root // ".." removes nothing before this
	push := func(segment string) {
		if len(out) > root {
			out = append(out, '/')
		}
		out = append(out, segment...)
	}
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == "" || segment == ".":
		case segment != "..":
			push(segment)
		case len(out) > floor:
			out = out[:floor+max(bytes.LastIndexByte(out[floor:], '/'), 0)]
		case root == 0:
			push(segment)
			floor = len(out)
		}
	}
	if len(out) == 0 {
		return "."
	}
	return string(out)
}
