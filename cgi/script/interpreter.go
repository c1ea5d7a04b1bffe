package script

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// interpreters are programs that run what they are given, by their names without a version.
var interpreters = []string{
	"ash", "awk", "bash", "busybox", "csh", "dash", "deno", "expect", "fish", "gawk", "gjs", "guile", "irb", "jimsh", "js", "julia",
	"ksh", "lua", "luajit", "mawk", "mksh", "node", "nodejs", "octave", "perl", "php", "php-cgi", "pwsh", "pypy", "python", "rbash",
	"Rscript", "ruby", "sash", "sh", "tclsh", "tcsh", "wish", "yash", "zsh",
}

// isInterpreter reports whether a program, or what it is a link to, is an interpreter, by its
// name. A script has its own interpreter, whatever its name.
func isInterpreter(path string) bool {
	named := func(path string) bool {
		name := strings.TrimSuffix(filepath.Base(path), ".exe")
		return slices.Contains(interpreters, strings.TrimRight(name, "-.0123456789"))
	}
	realPath, err := filepath.EvalSymlinks(path)
	return (named(path) || err == nil && named(realPath)) && !isScript(path)
}

// isScript reports whether a program begins with "#!". One that cannot be read is none: its
// interpreter could not read it either.
func isScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var start [2]byte
	n, _ := f.Read(start[:])
	return string(start[:n]) == "#!"
}

// maxEntries bounds how much of a root is searched for interpreters.
const maxEntries = 10_000

// interpreterIn returns an interpreter in a root, a directory, that may run, or "".
func (a *App) interpreterIn(root string) string {
	seen := make(map[string]bool) // by the real path, since links may lead in a circle
	dirs := []string{"."}
	for left := maxEntries; len(dirs) > 0; dirs = dirs[1:] {
		dir := filepath.Join(root, dirs[0])
		realDir, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[realDir] {
			continue
		}
		seen[realDir] = true
		entries, _ := os.ReadDir(dir) // what cannot be read is left out
		for _, d := range entries {
			if left--; left < 0 {
				return ""
			}
			rel := filepath.Join(dirs[0], d.Name())
			name := filepath.Join(root, rel)
			switch err := a.check(root, rel); {
			case err == errDirectory: // perhaps by a link that may be followed
				dirs = append(dirs, rel)
			case err == nil && a.permitted(name) && isInterpreter(name):
				return name
			}
		}
	}
	return ""
}

// systemDirectories hold programs, or files, that are not meant for a web server's clients.
var systemDirectories = []string{
	"/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp",
	"/usr", "/usr/bin", "/usr/games", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/libx32", "/usr/local",
	"/usr/local/bin", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share", "/var", "/var/lib", "/var/tmp",
}

// isSystemDirectory reports whether a directory is one of the system's, also by a link.
func isSystemDirectory(dir string) bool {
	if realDir, err := filepath.EvalSymlinks(dir); err == nil {
		dir = realDir
	}
	dir = filepath.Clean(dir)
	return dir == filepath.Dir(dir) || slices.Contains(systemDirectories, dir)
}
