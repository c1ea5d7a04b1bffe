"""Applications that do what they should not: PATH_INFO names one."""

import ctypes
import os
import signal
import sys
import threading
import time

TEXT = [('Content-Type', 'text/plain')]


def app(environ, start_response):
    return globals()[environ['PATH_INFO'][1:]](environ, start_response)


def ok(start_response, text='ok'):
    start_response('200 OK', TEXT)
    return [text.encode()]


def pid(environ, start_response):
    return ok(start_response, str(os.getpid()))


def prints(environ, start_response):
    print('printed')
    return ok(start_response)


def fails(environ, start_response):
    raise ValueError('wanted')


def fails_late(environ, start_response):
    start_response('200 OK', TEXT)(b'part')
    raise ValueError('wanted')


def exits(environ, start_response):
    sys.exit('wanted')


def interrupts(environ, start_response):
    raise KeyboardInterrupt


def dies(environ, start_response):
    os._exit(3)


def dies_late(environ, start_response):
    start_response('200 OK', TEXT)(b'part')
    os._exit(3)


def crashes(environ, start_response):
    ctypes.string_at(0)


def forks(environ, start_response):
    if os.fork() == 0:
        time.sleep(3600)
    return ok(start_response)


def forks_and_returns(environ, start_response):
    if os.fork() != 0:
        os.wait()
    return ok(start_response)


def forks_and_exits(environ, start_response):
    if os.fork() == 0:
        sys.exit(5)
    _, status = os.wait()
    return ok(start_response, 'ok' if status == 5 << 8 else str(status))


def starts_a_thread(environ, start_response):
    errors, ended = environ['wsgi.errors'], threading.Event()

    def run():
        ended.wait()
        errors.write('from a thread\n')
    threading.Thread(target=run).start()

    class Body(list):
        def close(self):
            ended.set()
    start_response('200 OK', TEXT)
    return Body([b'ok'])


def changes_the_process(environ, start_response):
    os.chdir('/tmp')
    os.umask(0)
    return ok(start_response)


def takes_signals(environ, start_response):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return ok(start_response)


def closes(environ, start_response):
    os.closerange(0, 10)
    return ok(start_response)


def closes_all(environ, start_response):
    os.closerange(3, 1024)
    return ok(start_response)


def reads_twice(environ, start_response):
    stream = environ['wsgi.input']
    return ok(start_response, 'ok' if (stream.read(), stream.read()) == (b'body', b'') else 'wrong')


def reads_nothing(environ, start_response):
    return ok(start_response)


def returns_str(environ, start_response):
    start_response('200 OK', TEXT)
    return ['text']


def yields_nothing(environ, start_response):
    start_response('200 OK', TEXT)
    yield from (b'', b'o', b'', b'k', b'')


def sends_more(environ, start_response):
    start_response('200 OK', [('Content-Length', '2')])
    return [b'okay']


def sends_less(environ, start_response):
    start_response('200 OK', [('Content-Length', '9')])
    return [b'part']


def hangs(environ, start_response):
    threading.Event().wait()


class Hanging(list):
    def close(self):
        threading.Event().wait()


def hangs_in_close(environ, start_response):
    start_response('200 OK', [('Content-Length', '2')])
    return Hanging([b'ok'])


def sends_a_gigabyte(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/octet-stream')])
    return (b'part' * 16384 for _ in range(16384))


leak = []


def leaks(environ, start_response):
    leak.append(bytearray(os.urandom(1 << 20) * 128))
    return ok(start_response)
