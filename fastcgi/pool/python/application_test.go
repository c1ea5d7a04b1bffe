package python

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSplitApplication(t *testing.T) {
	tests := []struct{ in, module, attribute, err string }{
		{"app:app", "app", "app", ""},
		{"project.wsgi:application", "project.wsgi", "application", ""},
		{"shop:site.app", "shop", "site.app", ""},
		{"größe_2:_anwendung", "größe_2", "_anwendung", ""},
		{"app", "", "", `"app" does not say which attribute of the module is the application: write MODULE:ATTR, such as app:app`},
		{"project.wsgi", "", "", "such as project.wsgi:application"},
		{"project.wsgi:", "", "", "such as project.wsgi:application"},
		{"app.py", "", "", `"app.py" is a file: write the name of the module, app:app`},
		{"app.py:create", "", "", `write the name of the module, app:create`},
		{"shop/wsgi.py", "", "", `"shop/wsgi.py" is a file: write the name of the module, wsgi:application, with its folder shop as directory`},
		{"/srv/shop/app:app", "", "", `write the name of the module, app:app, with its folder /srv/shop as directory`},
		{":app", "", "", `":app" names no module: write MODULE:ATTR`},
		{"", "", "", "names no module"},
		{"my-app:app", "", "", `"my-app" is not the name of a module`},
		{"shop..wsgi:app", "", "", "is not the name of a module"},
		{"2shop:app", "", "", "is not the name of a module"},
		{"app:create_app()", "", "", `"create_app()" is a call: write a module that has the result, such as application = create_app(), and its name`},
		{"app:my app", "", "", `"my app" is not the name of an attribute: write MODULE:ATTR, such as app:app`},
		{"a:b:c", "", "", `"b:c" is not the name of an attribute`},
	}
	for _, tt := range tests {
		module, attribute, err := SplitApplication(tt.in)
		if module != tt.module || attribute != tt.attribute || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(filepath.ToSlash(err.Error()), tt.err) {
			t.Errorf("%q: %q, %q, %v; want %q, %q, %s", tt.in, module, attribute, err, tt.module, tt.attribute, tt.err)
		}
	}
}

func TestFindModule(t *testing.T) {
	dir := t.TempDir()
	layOut(t, dir, "one/shop/wsgi.py=", "two/shop/__init__.py=", "two/app.py=", "two/lib/app.py=")
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for module, want := range map[string]string{
		"shop.wsgi": "one/shop/wsgi.py", "shop": "two/shop/__init__.py", "app": "two/app.py", "lib.app": "two/lib/app.py", "wsgi": "", "shop.app": "",
	} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got := FindModule(module, one, two); got != want {
			t.Errorf("%s: %s; want %s", module, got, want)
		}
	}
}
