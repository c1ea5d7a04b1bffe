package python

import (
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/testkit"
)

// TestUnsuitable: what is no WSGI application is refused by one line with the remedy, and what may be one is not.
func TestUnsuitable(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "kinds.py"), `
import functools

def app(environ, start_response): pass
def app_default(environ, start_response, more=None): pass
def app_any(*args): pass
app_partial = functools.partial(app_default, more=1)
app_wrapped = functools.wraps(app)(lambda *args: app(*args))
app_lambda = lambda environ, start_response: []
class Classic:
    def __init__(self, environ, start_response): pass
    def method(self, environ, start_response): pass
    @staticmethod
    def static(environ, start_response): pass
class Inherits(Classic): pass
class Made:
    def __new__(cls, environ, start_response): pass
class Called:
    def __call__(self, environ, start_response): pass
class Static:
    @staticmethod
    def __call__(environ, start_response): pass
app_called, app_static = Called(), Static()
app_method = Classic(1, 2).method

def create_app(): pass
def create_configured(config=None): pass
def three(request, environ, start_response): pass
def scoped(scope, receive, send): pass
async def asynchronous(scope, receive, send): pass
class Scoped:
    def __call__(self, scope, receive, send): pass
app_scoped = Scoped()
number = 3
`)
	const takes = ", and a WSGI application takes 2"
	const advice = takes + ": if it makes the application, write application = "
	const asgi = " is an ASGI application, and this serves those of WSGI: see a2wsgi, or serve it with uvicorn\n"
	list := pythons(t)
	for _, python := range list[:min(2, len(list))] { // the oldest comes second
		for attribute, want := range map[string]string{
			"app": "", "app_default": "", "app_any": "", "app_partial": "", "app_wrapped": "", "app_lambda": "", "Classic": "", "Classic.static": "",
			"Inherits": "", "Made": "", "app_called": "", "app_static": "", "app_method": "",
			"create_app":        "gatehouse: kinds:create_app takes 0 arguments" + advice + "create_app() in kinds, and kinds:application\n",
			"create_configured": "gatehouse: kinds:create_configured takes 1 argument" + advice,
			"three":             "gatehouse: kinds:three takes 3 arguments" + takes + "\n",
			"Called":            "gatehouse: the class kinds:Called takes 0 arguments" + advice + "Called() in kinds, and kinds:application\n",
			"scoped":            "gatehouse: kinds:scoped" + asgi, "asynchronous": "gatehouse: kinds:asynchronous" + asgi, "app_scoped": "gatehouse: kinds:app_scoped" + asgi,
			"number": "gatehouse: kinds:number is no WSGI application: it cannot be called (it is of type int): write kinds:app\n",
			"nobody": "gatehouse: module kinds (" + dir + "/kinds.py) has no 'nobody': write kinds:app\n",
		} {
			p := startPeer(t, python.path, dir, "kinds:"+attribute)
			if want == "" {
				p.awaitReady(t)
				continue
			}
			testkit.Receive(t, "the end of the worker", p.ended)
			if log := p.log.String(); !strings.HasPrefix(log, want) || strings.Count(log, "\n") != 1 {
				t.Errorf("%s: %s:\n%s\nwant\n%s", python.version, attribute, log, want)
			}
		}
	}
}

// TestModuleNotFound: where the module may be that is missing.
func TestModuleNotFound(t *testing.T) {
	dir := t.TempDir()
	layOut(t, dir, "shop/__init__.py=", "shop/wsgi.py=import shop.urls\ndef application(environ, start_response): pass\n", "shop/urls.py=",
		"shop/lost.py=import shop.setings\n", "shop/plain.py=import gone.more\n", "nothere/app.py=import nothere\n",
		"moved/__init__.py=import sys; sys.path.insert(0, '/elsewhere')\n")
	const install = "which python3 does not have: install it there, or write the virtual environment that has it as python\n"
	for _, tt := range []struct{ dir, application, want string }{
		{"", "shop.wsgi:application", ""},
		{"shop", "wsgi:application", "there is no module shop in DIR/shop, which is that package itself: write DIR as directory, or start gatehouse there, and shop.wsgi:application\n"},
		{"shop", "shop.wsgi:application", "there is no module shop in DIR/shop, which is that package itself: write DIR as directory, or start gatehouse there, and shop.wsgi:application\n"},
		{"", "store.wsgi:application", "there is no module store in DIR, nor among the packages of python3: write the folder that it is in as directory, or start gatehouse there\n"},
		{"", "shop.wsgy:application", "there is no module shop.wsgy in DIR, nor among the packages of python3: write the folder"},
		{"", "shop.lost:application", "shop.lost needs the module shop.setings, which is not in DIR/shop: is its name right, also in variables such as DJANGO_SETTINGS_MODULE?\n"},
		{"", "shop.plain:application", "shop.plain needs the module gone, " + install},
		{"", "moved.app:app", "there is no module moved.app in DIR, nor among the packages of python3: write the folder"},
		{"nothere", "app:app", "app needs the module nothere, " + install},
	} {
		p := startPeer(t, "/usr/bin/python3", filepath.Join(dir, tt.dir), tt.application)
		if tt.want == "" {
			p.awaitReady(t)
			continue
		}
		testkit.Receive(t, "the end of the worker", p.ended)
		log := strings.ReplaceAll(strings.ReplaceAll(p.log.String(), dir, "DIR"), "/usr/bin/python3", "python3")
		if !strings.HasPrefix(log, "gatehouse: "+tt.want) {
			t.Errorf("%s in %q:\n%s\nwant\n%s", tt.application, tt.dir, log, tt.want)
		}
	}
}
