package python

import (
	"fmt"
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
