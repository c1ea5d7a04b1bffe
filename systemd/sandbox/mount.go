package sandbox

import (
	"path/filepath"
	"slices"
	"strings"
)

// A mount is a line of /proc/PID/mountinfo.
type mount struct {
	id, parent string
	device     string // its number
	root       string // the directory of the file system that is mounted
	point      string // where
	options    string // of the mount, and of /proc
	kind       string // of the file system
	super      string // options of the file system
}

// parseMounts reads /proc/PID/mountinfo; see proc(5). A line that is unlike the others is left
// out.
func parseMounts(table string) (mounts []mount) {
	for line := range strings.Lines(table) {
		own, system, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(own), strings.Fields(system)
		if len(f) < 6 || len(g) < 3 {
			continue
		}
		mounts = append(mounts, mount{id: f[0], parent: f[1], device: f[2], root: octal.Replace(f[3]), point: octal.Replace(f[4]),
			options: f[5], kind: g[0], super: g[2]})
	}
	return mounts
}

// octal undoes the escapes of mountinfo.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountOf returns the mount that path is in, or nil.
func (s *Sandbox) mountOf(path string) (found *mount) {
	for i := range s.mounts {
		m := &s.mounts[i]
		rel, err := filepath.Rel(m.point, path)
		if err == nil && filepath.IsLocal(rel) && (found == nil || len(m.point) >= len(found.point)) {
			found = m
		}
	}
	return found
}

// mountAt returns what is mounted at point, or nil.
func (s *Sandbox) mountAt(point string) *mount {
	if m := s.mountOf(point); m != nil && m.point == point {
		return m
	}
	return nil
}

func (s *Sandbox) isTmpfs(point string) bool {
	m := s.mountAt(point)
	return m != nil && m.kind == "tmpfs"
}

// inaccessible reports whether it is one of the empty files and directories that systemd
// mounts over what it hides.
func (m *mount) inaccessible() bool { return strings.Contains(m.root, "/systemd/inaccessible/") }

// private reports whether it is a directory that PrivateTmp= makes.
func (m *mount) private() bool {
	return (m.point == "/tmp" || m.point == "/var/tmp") && strings.Contains(m.root, "/systemd-private-")
}

// readOnly reports whether the mount is read-only and its file system is not.
func (m *mount) readOnly() bool {
	return slices.Contains(strings.Split(m.options, ","), "ro") && !slices.Contains(strings.Split(m.super, ","), "ro")
}

// has reports whether it is mounted with an option.
func (m *mount) has(option string) bool {
	return slices.Contains(strings.Split(m.options+","+m.super, ","), option)
}

// bound reports whether a mount shows what would be seen without it: systemd mounts
// directories on themselves to give them other options.
func (s *Sandbox) bound(m *mount) bool {
	for i := range s.mounts {
		p := &s.mounts[i]
		if p.id == m.parent && p != m && p.device == m.device {
			rel, err := filepath.Rel(p.point, m.point)
			return err == nil && filepath.Join(p.root, rel) == m.root
		}
	}
	return false
}
