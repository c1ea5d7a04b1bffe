package python

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// SplitApplication returns the module and the attribute of an application, MODULE:ATTR such as
// "project.wsgi:application". The error says what to write in its place.
func SplitApplication(s string) (module, attribute string, err error) {
	module, attribute, given := strings.Cut(s, ":")
	switch {
	case isFileName(module):
		dir, name := filepath.Split(filepath.FromSlash(module))
		dotted := strings.ReplaceAll(strings.TrimSuffix(filepath.ToSlash(name), ".py"), "-", "_")
		where := ""
		if dir != "" {
			where = fmt.Sprintf(", with its folder %s as directory", filepath.Clean(dir))
		}
		if attribute == "" {
			attribute = usualAttribute(dotted)
		}
		return "", "", fmt.Errorf("%q is a file: write the name of the module, %s:%s%s", module, dotted, attribute, where)
	case module == "":
		return "", "", fmt.Errorf("%q names no module: write MODULE:ATTR, such as project.wsgi:application for the file project/wsgi.py", s)
	case !isDotted(module):
		return "", "", fmt.Errorf("%q is not the name of a module: write MODULE:ATTR, such as project.wsgi:application for the file project/wsgi.py", module)
	case !given || attribute == "":
		return "", "", fmt.Errorf("%q does not say which attribute of the module is the application: write MODULE:ATTR, such as %s:%s",
			s, module, usualAttribute(module))
	case strings.Contains(attribute, "("):
		return "", "", fmt.Errorf("%q is a call: write a module that has the result, such as application = %[1]s, and its name", attribute)
	case !isDotted(attribute):
		return "", "", fmt.Errorf("%q is not the name of an attribute: write MODULE:ATTR, such as %s:%s", attribute, module, usualAttribute(module))
	}
	return module, attribute, nil
}

// usualAttribute is what an application in a module is usually called: Django's is in wsgi.py, and
// most of Flask's are in app.py.
func usualAttribute(module string) string {
	if module == "app" || strings.HasSuffix(module, ".app") {
		return "app"
	}
	return "application"
}

func isFileName(module string) bool {
	return strings.HasSuffix(module, ".py") || strings.ContainsAny(module, `/\`)
}

// isDotted reports whether s consists of identifiers with dots between them.
func isDotted(s string) bool {
	for name := range strings.SplitSeq(s, ".") {
		for i, r := range name {
			if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc)) {
				return false
			}
		}
		if name == "" {
			return false
		}
	}
	return true
}

// FindModule returns the file of a module below the directories, as Python finds it there without
// importing anything, or "". A module that Python finds in another way, such as by the
// .pth file of an editable installation, is not found.
func FindModule(module string, dirs ...string) string {
	path := filepath.Join(strings.Split(module, ".")...)
	for _, dir := range dirs {
		for _, name := range []string{filepath.Join(path, "__init__.py"), path + ".py"} {
			if file := filepath.Join(dir, name); isFile(file) {
				return file
			}
		}
	}
	return ""
}

// Packages returns the directories in which a Python has installed packages, as far as they exist
// and can be told without running it.
func (i *Interpreter) Packages() (dirs []string) {
	var patterns []string
	if i.Venv != "" {
		patterns = []string{filepath.Join(i.Venv, "lib", "python*", "site-packages")}
		if info, err := os.Lstat(filepath.Join(i.Venv, "lib64")); err == nil && info.IsDir() { // no link to lib
			patterns = append(patterns, filepath.Join(i.Venv, "lib64", "python*", "site-packages"))
		}
	} else if prefix := filepath.Dir(filepath.Dir(i.Base)); i.Base != "" {
		for _, names := range []string{"lib/python" + i.Version + "/site-packages", "lib/python" + i.Version + "/dist-packages",
			"lib/python3/dist-packages", "local/lib/python" + i.Version + "/dist-packages"} { // the last three on Debian
			patterns = append(patterns, filepath.Join(prefix, filepath.FromSlash(names)))
		}
		if home, err := os.UserHomeDir(); err == nil {
			patterns = append(patterns, filepath.Join(home, ".local", "lib", "python"+i.Version, "site-packages"))
		}
	}
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // the pattern is none of the user's, but for a bad one nothing is found
		dirs = append(dirs, found...)
	}
	return dirs
}

// MayHave reports whether an installed package may have a module: it does, or what is installed
// leads elsewhere, such as an editable installation.
func (i *Interpreter) MayHave(module string) bool {
	dirs := i.Packages()
	if len(dirs) == 0 || FindModule(module, dirs...) != "" {
		return true
	}
	for _, dir := range dirs {
		links, _ := filepath.Glob(filepath.Join(dir, "*.pth"))
		for _, l := range links {
			if name := filepath.Base(l); name != "distutils-precedence.pth" && name != "_virtualenv.pth" {
				return true
			}
		}
	}
	return false
}
