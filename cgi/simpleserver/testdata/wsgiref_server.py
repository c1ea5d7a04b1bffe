# A wsgiref.simple_server on a free port, which is the first line of its output.
# Its application says which variables it got, and does what the path asks for.
import sys
from wsgiref.handlers import BaseHandler
from wsgiref.simple_server import WSGIRequestHandler, make_server

BaseHandler.os_environ = {}


def app(environ, start_response):
    path = environ['PATH_INFO']
    own = {k: v for k, v in environ.items() if '.' not in k}
    text = ''.join('%s = %r\n' % (k, own[k]) for k in sorted(own))
    fields = [('Content-Type', 'text/plain'), ('X-One', '1'), ('x-two', '2'), ('X-One', '3')]
    if path == '/raise':
        raise ValueError('wanted')
    if path == '/badstatus':
        start_response('200', fields)
        return [b'x']
    if path == '/date':
        fields.insert(1, ('date', 'Mon, 05 Jun 2006 18:49:54 GMT'))
    if path == '/server':
        fields.insert(1, ('SERVER', 'Own/1'))
    if path == '/long':
        start_response('200 OK', fields + [('Content-Length', '5')])
        return [b'12345']
    if path == '/404':
        start_response('404 Nothing Here', fields)
        return [b'nothing']
    if path == '/first':
        start_response('200 OK', [('Content-Length', '5')] + fields)
        return [b'12345']
    if path == '/more':
        start_response('200 OK', fields + [('Content-Length', '2')])
        return [b'12345']
    if path in ('/204', '/304'):
        start_response(path[1:] + ' x', fields)
        return [b'body']
    if path == '/hop':
        start_response('200 OK', fields + [('Connection', 'close')])
        return [b'x']
    if path == '/empty':
        start_response('200 OK', fields)
        return []
    if path == '/parts':
        start_response('200 OK', fields)
        return iter([b'a', b'b'])
    if path == '/body':
        text = environ['wsgi.input'].read(int(environ['CONTENT_LENGTH'] or 0)).decode('latin-1')
    if path == '/rest':
        text = environ['wsgi.input'].read().decode('latin-1')
    start_response('200 OK', fields)
    return [text.encode('utf-8')]


class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        pass

    def get_stderr(self):
        return open('/dev/null', 'w')


server = make_server('127.0.0.1', 0, app, handler_class=Handler)
server.base_environ['SERVER_NAME'] = 'test'
server.base_environ['SERVER_PORT'] = '80'
print(server.server_port, flush=True)
server.serve_forever()
