//go:build linux

package main

import "fmt"

// wsgiApplications are the applications of the WSGI servers, by file name. hello and page send
// helloText.
var wsgiApplications = map[string]string{
	"hello.py": `def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"hello world\n"]
`,
	"page.py": `from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    SECRET_KEY="benchmark",
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path

urlpatterns = [re_path("", lambda request: HttpResponse("hello world\n", content_type="text/plain"))]
application = get_wsgi_application()
`,
	"file.py": wsgiFile,
	"slow.py": wsgiSlow,
}

// wsgiWorkers is how many processes each WSGI server has.
const wsgiWorkers = 2

// wsgi returns the gateway with a WSGI application of the workshop.
func wsgi(module string) side {
	s := side{name: "gatehouse", program: "{dir}/gatehouse", args: []string{"serve", "--fastcgi", "unix:{socket}"}}
	return s.configured(fmt.Sprintf("[[app]]\nwsgi = \"%s:application\"\ndirectory = \"{dir}/wsgi\"\npython = \"/usr/bin/python3\"\nworkers = %d", module, wsgiWorkers))
}

// uwsgi returns uWSGI with its FastCGI, which closes each connection after its request.
func uwsgi(module string) side {
	return side{name: "uWSGI", program: "/usr/bin/uwsgi", args: []string{"--plugin", "python3", "--fastcgi-socket", "{socket}", "--chmod-socket=666",
		"--master", "--processes", fmt.Sprint(wsgiWorkers), "--chdir", "{dir}/wsgi", "--module", module, "--disable-logging"}}
}

// gunicorn returns gunicorn with its workers for one request at a time, which speak HTTP and
// close each connection, too.
func gunicorn(module string) side {
	return side{name: "gunicorn sync", program: "/usr/bin/gunicorn", args: []string{"--workers", fmt.Sprint(wsgiWorkers), "--bind", "unix:{socket}",
		"--chdir", "{dir}/wsgi", module + ":application"}}
}

// waitress returns waitress, one process with as many threads, which speaks HTTP.
func waitress(module string) side {
	return side{name: "waitress", program: "/usr/bin/waitress-serve", args: []string{"--unix-socket={socket}", "--threads", fmt.Sprint(wsgiWorkers),
		module + ":application"}, env: []string{"PYTHONPATH={dir}/wsgi"}}
}

// wsgiRows returns the rows of WSGI applications.
func wsgiRows() []row {
	kept := load{connections: 8, request: request{keep: true}}
	each := load{connections: 8}
	web := load{connections: 8, request: request{http: true, browser: true, keep: true, filename: "hello"}}
	webEach := load{connections: 8, request: request{http: true, browser: true, filename: "hello"}}
	var all []row
	for _, x := range []struct {
		name, title, module string
		uwsgi, gunicorn     float64
	}{
		{"wsgi", "WSGI hello", "hello", 0.8, 2},
		{"wsgi-django", "Django page", "page", 0.85, 1.2},
	} {
		title := fmt.Sprintf("%s, %d workers, ", x.title, wsgiWorkers)
		all = append(all,
			row{name: x.name, title: title + "8 kept connections", ours: contender{wsgi(x.module), kept}, peers: []rival{
				{contender{uwsgi(x.module), each}, goal{ratio: x.uwsgi}},
				{contender{gunicorn(x.module), webEach}, goal{ratio: x.gunicorn}},
				{contender{waitress(x.module), web}, goal{}},
			}},
			row{name: "wsgi-cost", title: title + "processor time of a request", ours: contender{wsgi(x.module), cost{kept}}, peers: []rival{
				{contender{uwsgi(x.module), cost{each}}, goal{}},
				{contender{gunicorn(x.module), cost{webEach}}, goal{}},
				{contender{waitress(x.module), cost{web}}, goal{}},
			}})
	}
	title := fmt.Sprintf("nginx to WSGI hello, %d workers, 8 kept connections", wsgiWorkers)
	return append(all, row{name: "wsgi-nginx", title: title, ours: contender{nginx(wsgi("hello"), 8), web}, peers: []rival{
		{contender{nginx(uwsgi("hello"), 8), web}, goal{ratio: 0.9}},
	}})
}
