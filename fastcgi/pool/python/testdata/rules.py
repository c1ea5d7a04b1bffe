"""Applications for the rules of PEP 3333: PATH_INFO names one."""

import io
import logging
import os
import signal
import sys
import tempfile
import threading
import warnings

TEXT = [('Content-Type', 'text/plain')]
noted = []  # what is to be seen by the next request
kept = []  # the wsgi.input of an earlier request


def app(environ, start_response):
    return globals()[environ['PATH_INFO'][1:]](environ, start_response)


def say(start_response, *values):
    start_response('200 OK', list(TEXT))
    return ['\n'.join(map(str, values)).encode('utf-8', 'backslashreplace')]


def seen(environ, start_response):
    """Show what was noted, and forget it."""
    text = ' '.join(map(str, noted))
    del noted[:]
    return say(start_response, text)


# environ

def environ(environ, start_response):
    strings = sorted('%s=%s' % (k, ascii(v)) for k, v in environ.items() if '.' not in k)
    others = sorted('%s=%r' % (k, v) for k, v in environ.items() if k.startswith('wsgi.') and k not in ('wsgi.input', 'wsgi.errors', 'wsgi.file_wrapper'))
    bad = [k for k, v in environ.items() if type(k) is not str or '.' not in k and type(v) is not str]
    return say(start_response, type(environ) is dict, bad, *strings, *others)


def scheme(environ, start_response):
    return say(start_response, environ['wsgi.url_scheme'])


# wsgi.input

def read(environ, start_response):
    """Do what the query says, such as read(3)."""
    results = []
    stream = environ['wsgi.input']
    for call in environ['QUERY_STRING'].split(';'):
        try:
            results.append(repr(eval('stream.' + call if call != 'list' else 'list(stream)', {'stream': stream})))
        except OSError as e:
            results.append('OSError: %s' % e)
    return say(start_response, *results)


def later(environ, start_response):
    """Say that the body may come, and do what the query says."""
    environ['wsgi.errors'].write('now\n')
    return read(environ, start_response)


def partlater(environ, start_response):
    """Say so in a long line without its end, and do what the query says."""
    environ['wsgi.errors'].write('x' * 10000)
    return read(environ, start_response)


def unread(environ, start_response):
    return say(start_response, 'unread')


def keepinput(environ, start_response):
    kept.append(environ['wsgi.input'])
    return say(start_response, 'kept')


def keptinput(environ, start_response):
    return say(start_response, repr(kept.pop().read()))


# wsgi.errors

def errors(environ, start_response):
    e = environ['wsgi.errors']
    e.write('one ')
    e.write('line\nu\xfc\u20ac\udcff')
    e.flush()
    e.writelines(['\n', 'last'])
    try:
        e.write(b'bytes')
    except TypeError as error:
        noted.append(error)
    return say(start_response, 'done')


def longline(environ, start_response):
    environ['wsgi.errors'].write('x' * 100000)
    return say(start_response, 'done')


def printed(environ, start_response):
    print('printed \udcff')
    sys.stdout.write('on stdout\n')
    os.write(1, b'by the descriptor\n')
    return say(start_response, repr(sys.stdin.read()), repr(os.read(0, 10)))


# sys.stderr

handler = logging.StreamHandler()  # which keeps the sys.stderr of the import


def stderr(environ, start_response):
    """Write to sys.stderr in every usual way."""
    print('one', 'line', file=sys.stderr)
    logging.getLogger('rules').warning('from logging')
    handler.emit(logging.makeLogRecord({'msg': 'from a handler'}))
    warnings.warn_explicit('from a warning', UserWarning, 'elsewhere', 1)
    thread = threading.Thread(target=print, args=('from a thread',), kwargs={'file': sys.stderr})
    thread.start()
    thread.join()
    sys.stderr.write('par')
    environ['wsgi.errors'].write('tly\n')
    sys.__stderr__.writelines(['u\xfc\u20ac\udcff\n', 'last'])
    sys.stderr.buffer.write(b'by the buffer\n')
    os.write(sys.stderr.fileno(), b'by descriptor 2\n')
    return say(start_response, 'done')


waits = threading.Event()


def stderrlater(environ, start_response):
    """Write to sys.stderr once the response has gone, and from a thread between requests."""
    class Later(list):
        def close(self):
            print('in close', file=sys.stderr)
            waits.set()

    threading.Thread(target=lambda: waits.wait() and print('between requests', file=sys.stderr)).start()
    start_response('200 OK', [('Content-Length', '4')])
    return Later([b'done'])


def stderrforked(environ, start_response):
    """Write to sys.stderr in a child."""
    sys.stderr.write('part')
    child = os.fork()
    if child == 0:
        print('of the child', file=sys.stderr)
        os._exit(0)
    os.waitpid(child, 0)
    print('y', file=sys.stderr)
    return say(start_response, 'done')


def stderrinterrupted(environ, start_response):
    """Write to sys.stderr, and do so in the handler of a signal that comes all the time. Say how often."""
    lines = 0
    with Alarm(0.0002, lambda: sys.stderr.write('alarm\n')) as alarm:
        while lines < 2000 or alarm.count < 10:
            sys.stderr.write('line\n')
            lines += 1
    return say(start_response, '%d %d' % (lines, alarm.count))


def stderrlogged(environ, start_response):
    """Log from a thread and from the handler of a signal, while a response is sent."""
    log = logging.Logger('rules')
    log.addHandler(logging.StreamHandler(environ['wsgi.errors'] if environ['QUERY_STRING'] else None))
    lines, done = [0], threading.Event()

    def write():
        while not done.wait(0.0005):
            log.warning('line')
            lines[0] += 1

    start_response('200 OK', list(TEXT))
    thread = threading.Thread(target=write)
    thread.start()
    with Alarm(0.005, lambda: log.warning('alarm')) as alarm:
        while lines[0] < 100 or alarm.count < 50:
            yield b'x' * 30000
    done.set()
    thread.join()
    noted.extend([lines[0], alarm.count])


def stderrflooded(environ, start_response):
    """Write from two threads all the time, while a response is sent."""
    done = threading.Event()

    def write():
        lines = 0
        while not done.is_set():
            sys.stderr.write('line\n')
            lines += 1
        written.append(lines)

    written = []
    threads = [threading.Thread(target=write) for _ in range(2)]
    start_response('200 OK', list(TEXT))
    for thread in threads:
        thread.start()
    for _ in range(100):
        yield b'x' * 30000
    done.set()
    for thread in threads:
        thread.join()
    noted.extend([sum(written), 0])


class Alarm:
    """A signal that comes again some time after its handler, which calls what is given, and counts."""

    def __init__(self, pause, call):
        self.pause, self.call, self.count = pause, call, 0

    def __enter__(self):
        signal.signal(signal.SIGALRM, self.handle)
        signal.setitimer(signal.ITIMER_REAL, self.pause)
        return self

    def handle(self, *_):
        self.count += 1
        self.call()
        signal.setitimer(signal.ITIMER_REAL, self.pause)

    def __exit__(self, *_):
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def stderrearly(environ, start_response):
    """Write to what has taken sys.stderr and its buffer before the application. Say what sys.stderr is like."""
    import sitecustomize
    logging.getLogger('rules').warning('from logging')
    sitecustomize.writer.write('by the buffer\n')
    sitecustomize.writer.flush()
    return say(start_response, sys.stderr.name, sys.stderr.mode, sys.stderr.errors, sys.stderr.write_through)


def stderrtaken(environ, start_response):
    """Do to sys.stderr what the query says, and write to wsgi.errors behind the response."""
    class Later(list):
        def close(self):
            environ['wsgi.errors'].write('in close\n')
            raise ValueError('from close')

    exec(environ['QUERY_STRING'], {'sys': sys, 'io': io, 'os': os})
    start_response('200 OK', [('Content-Length', '4')])
    return Later([b'done'])


# start_response

def start(environ, start_response):
    """Call start_response as the query says."""
    try:
        start = eval('start(' + environ['QUERY_STRING'] + ')', {'start': start_response, 'str2': type('str2', (str,), {})})
    except Exception as e:
        noted.append('%s: %s' % (type(e).__name__, e))
        raise
    return [b'x']


def startlate(environ, start_response):
    yield b''
    start_response('200 OK', list(TEXT))
    yield b'late'


def startnever(environ, start_response):
    return [b'x']


def startnothing(environ, start_response):
    return []


def starttwice(environ, start_response):
    start_response('200 OK', list(TEXT))
    start_response('200 OK', list(TEXT))
    return [b'x']


def startafterbad(environ, start_response):
    try:
        start_response('200', list(TEXT))
    except AssertionError:
        pass
    start_response('200 OK', list(TEXT))
    return [b'x']


def startagain(environ, start_response):
    start_response('200 OK', [('X-First', '1'), ('Content-Length', '99')])
    try:
        raise ValueError('cause')
    except ValueError:
        start_response('404 Not Found', [('X-Second', '2')], sys.exc_info())
    return [b'replaced']


def startsent(environ, start_response):
    write = start_response('200 OK', list(TEXT))
    write(b'begun')
    try:
        raise ValueError('cause')
    except ValueError:
        try:
            start_response('404 Not Found', list(TEXT), sys.exc_info())
        except ValueError as e:
            noted.append('raised %s' % e)
            raise
    return []


def mutated(environ, start_response):
    fields = [('X-One', '1')]
    start_response('200 OK', fields)
    fields.append(('X-Two', '2'))
    return [b'x']


# write

def write(environ, start_response):
    write = start_response('200 OK', list(TEXT))
    write(b'one')
    write(b'')
    write(b'two')
    return [b'three']


def writeonly(environ, start_response):
    start_response('200 OK', list(TEXT))(b'')
    return []


def writelong(environ, start_response):
    write = start_response('200 OK', [('Content-Length', '4')])
    write(b'one')
    try:
        write(b'two')
    except AssertionError as e:
        noted.append(e)
    write(b'4')
    return []


def writestr(environ, start_response):
    start_response('200 OK', list(TEXT))('text')
    return []


# The iterable

class Body:
    """An iterable that notes what becomes of it."""

    def __init__(self, blocks, fail=None):
        self.blocks = iter(blocks)
        self.fail = fail

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        if block is None:
            raise ValueError('from the iterable')
        noted.append('next')
        return block

    def close(self):
        noted.append('close')
        if self.fail:
            raise self.fail


def blocks(environ, start_response):
    """Yield what the query lists, with these header fields."""
    start_response(environ.get('STATUS', '200 OK'), eval(environ.get('FIELDS', '[]')))
    return eval(environ['QUERY_STRING'], {'Body': Body, 'error': ValueError('from close'), 'leave': SystemExit(3)})


class Sized(Body):
    def __len__(self):
        return 1


def sized(environ, start_response):
    start_response('200 OK', list(TEXT))
    return Sized([b'sized'])


def none(environ, start_response):
    start_response('200 OK', list(TEXT))


def fail(environ, start_response):
    raise ValueError('from the application')


def failchained(environ, start_response):
    try:
        environ['wsgi.errors'].write(1)
    except TypeError as e:
        raise ValueError('second') from e


def failafter(environ, start_response):
    start_response('200 OK', list(TEXT))
    raise ValueError('from the application')


def failbegun(environ, start_response):
    start_response('200 OK', list(TEXT))(b'part')
    raise ValueError('from the application')


# wsgi.file_wrapper

class Reads:
    def __init__(self, data):
        self.data = io.BytesIO(data)

    def read(self, size):
        noted.append(size)
        return self.data.read(size)


class Unfiled(Reads):
    def fileno(self):
        raise OSError('no descriptor')

    def close(self):
        noted.append('close')


def wrapped(environ, start_response):
    """Wrap the file that the query makes."""
    real = tempfile.TemporaryFile()
    real.write(b'0123456789' * 1000)
    real.seek(9995)
    start_response('200 OK', eval(environ.get('FIELDS', '[]')))
    wrapper = environ['wsgi.file_wrapper']
    return eval(environ['QUERY_STRING'], {'wrap': wrapper, 'io': io, 'real': real, 'Reads': Reads, 'Unfiled': Unfiled})


# What lasts

def forever(environ, start_response):
    """Send blocks until the request is aborted."""
    def blocks():
        try:
            while True:
                yield b'block'
        finally:
            noted.append('closed')
    start_response('200 OK', list(TEXT))
    return blocks()


def untilread(environ, start_response):
    """Return once the body has come."""
    return say(start_response, len(environ['wsgi.input'].read()))


def atend(environ, start_response):
    import atexit
    import threading
    done = threading.Event()
    threading.Thread(target=lambda: done.wait() and print('thread ended', flush=True)).start()
    threading._register_atexit(done.set) if hasattr(threading, '_register_atexit') else done.set()
    atexit.register(print, 'exit function', flush=True)
    return say(start_response, 'noted')


# With wsgiref.validate

def valid(environ, start_response):
    return say(start_response, environ['wsgi.input'].read(3), environ['wsgi.input'].readline(2), list(environ['wsgi.input']))


def tupled(environ, start_response):
    start_response('200 OK', (('Content-Type', 'text/plain'),))
    return [b'x']


def readsall(environ, start_response):
    environ['wsgi.input'].read()
    return say(start_response, 'x')
