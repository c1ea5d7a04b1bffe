//go:build linux

package main

import "fmt"

// wsgiFile sends a file with so many bytes as the query says, which it makes when it is wanted first.
const wsgiFile = `import os

BLOCK = bytes((i ^ (i >> 8) * 7) & 255 for i in range(64 << 10))


def application(environ, start_response):
    size = int(environ["QUERY_STRING"].partition("size=")[2])
    name = "content-%d" % size
    if not os.path.exists(name):
        own = "%s-%d" % (name, os.getpid())
        with open(own, "wb") as file:
            for at in range(0, size, len(BLOCK)):
                file.write(BLOCK[:size - at])
        os.rename(own, name)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return environ["wsgi.file_wrapper"](open(name, "rb"), len(BLOCK))
`

// wsgiFileRows returns the rows of files that a WSGI application sends by wsgi.file_wrapper.
func wsgiFileRows(n scale) []row {
	title := fmt.Sprintf("WSGI file of %.3g MB, %d workers, ", float64(n.size)/1e6, wsgiWorkers)
	fastCGI := fetching{size: n.size, filename: "/srv/file", each: true}
	web := fetching{size: n.size, filename: "/srv/file", each: true, http: true}
	return []row{
		{name: "wsgi-file", title: title + "FastCGI", ours: contender{wsgi("file"), fastCGI}, peers: []rival{
			{contender{uwsgi("file"), fastCGI}, goal{ratio: 1.5}},
		}},
		{name: "wsgi-file", title: title + "HTTP", ours: contender{wsgi("file").overHTTP(), web}, peers: []rival{
			{contender{gunicorn("file"), web}, goal{}},
		}},
	}
}
