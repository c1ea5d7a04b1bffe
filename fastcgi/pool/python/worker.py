"""A worker of Gatehouse: serves a WSGI application (PEP 3333) over one connection.

The gateway starts "PYTHON -c BOOTSTRAP wsgi MODULE:ATTR" with one end of a socketpair as
descriptor 0, and sends this file over it, so that nothing is installed. BOOTSTRAP executes it,
with the socket as "connection". What follows on the connection is FastCGI 1.0:

* GET_VALUES is answered when the application has been imported. An import that fails is
  a traceback on stderr and exit status 1.
* One request at a time: BEGIN_REQUEST, PARAMS, STDIN; then STDOUT, STDERR and END_REQUEST.
* FREE, a GET_VALUES_RESULT that nobody asked for, says that the worker is ready for another request.
  It comes right before END_REQUEST or, when close() of the response was still to be called, behind it.
* The rest of a body may be a part of an open file: a DATA record has its offset and its length, 8 bytes
  each, and the descriptor is sent along with it (SCM_RIGHTS).
* The end of the connection is the end of the worker: exit functions run, threads are joined.

SIGTERM ends a worker after its request. SIGUSR1 makes it write the stacks of all threads to stderr.

It needs Python 3.8, and nothing besides the standard library.
"""

import sys

if sys.version_info < (3, 8):
    sys.stderr.write('gatehouse: %s is Python %d.%d, and workers need Python 3.8 or newer: install one, and write its path as python\n' % (
        (sys.executable,) + sys.version_info[:2]))
    sys.exit(1)

import errno
import faulthandler
import fcntl
import gc
import io
import linecache
import os
import re
import select
import signal
import socket
import stat
import traceback
from _thread import RLock
from collections import deque

FILE = 'gatehouse-worker.py'  # the name of this file in tracebacks

# The types of records (FastCGI 1.0 section 8), and the two bytes that begin one.
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
STDOUT_RECORD, STDERR_RECORD, END_RECORD, FILE_RECORD = b'\1\6', b'\1\7', b'\1\3', b'\1\x08'
EMPTY = b'\0\0\0\0'  # the rest of the header of a record without content
FREE = b'\1\x0a\0\0\0\0\0\0'
VALUES = b'\1\x0a\0\0\0\x12\0\0\x0f\1FCGI_MPXS_CONNS0'
COMPLETE, FAILED = b'\0\x08\0\0' + b'\0' * 8, b'\0\x08\0\0' + b'\0\0\0\1' + b'\0' * 4

RECEIVE = 64 << 10  # bytes that are received at once
CONTENT = 65528  # bytes of content in a record
WAITING = 200  # texts that wait to be sent to the log: more go there without the id of their request


class Gone(ConnectionError):
    """The gateway has closed the connection."""


class Aborted(ConnectionAbortedError):
    """The gateway has aborted the request, because its client has left."""


# The connection.


class Link:
    """The connection to the gateway."""

    def __init__(self, connection):
        self.socket = connection
        self.recv = connection.recv
        self.sendall = connection.sendall
        self.lock = RLock()  # held while records are sent: threads may write to wsgi.errors
        self.wanted = False  # the lock is, for more than what was written to wsgi.errors
        self.waiting = deque()  # what was written to wsgi.errors: pairs of Errors and str
        self.log = None  # where lines go that are of no request
        self.stderr = None  # sys.stderr, as it was set up
        self.poll = select.poll()
        self.poll.register(connection, select.POLLIN)
        self.data = b''  # received
        self.used = 0  # bytes of data
        self.gone = False  # nothing can be sent any more
        self.forked = False  # this process is a child of the worker
        self.stopping = False  # no further request is wanted
        self.idle = False  # waits for a request

    def lost(self, error):
        """Note that there is no connection any more. Return what is to be raised."""
        self.gone = True
        if error is not None and error.errno in (errno.EBADF, errno.ENOTSOCK) and not self.forked:
            self.log.write('gatehouse: the application has closed the descriptor of the connection to the gateway: this worker ends\n')
        return Gone('the gateway has closed the connection')

    def send(self, data):
        """Send whole records."""
        try:
            self.hold(self.sendall, data)
        except OSError as e:
            raise self.lost(e) from None

    def send_file(self, data, fd):
        """Send whole records, with a descriptor."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, sys.byteorder))]

        def send_locked():
            sent = self.socket.sendmsg([data], rights)
            if sent < len(data):
                self.sendall(data[sent:])

        try:
            self.hold(send_locked)
        except OSError as e:
            self.gone = True
            raise Gone('the gateway has closed the connection: %s' % e) from None

    def hold(self, call, *arguments):
        """Call what is given with the lock held, ahead of what threads write to wsgi.errors, which follows."""
        first = not self.lock._is_owned()
        if first:
            self.wanted = True
        try:
            with self.lock:
                if first:
                    self.wanted = False
                call(*arguments)
        finally:
            if self.waiting:
                self.send_waiting()

    def send_waiting(self):
        """Send what waits for the log, unless the lock is held: who holds it does so afterwards.

        Nobody waits for the lock here, since the caller may hold another one, such as that of a handler
        of logging, for which the handler of a signal waits while its thread sends a record."""
        for _ in range(4):  # and not forever: threads may go on writing
            if not self.waiting or self.wanted or self.lock._is_owned() or not self.lock.acquire(False):
                return
            try:
                self.send_waiting_locked()
            finally:
                self.lock.release()

    def send_waiting_locked(self):
        for _ in range(len(self.waiting)):
            if self.wanted:
                return
            errors, text = self.waiting.popleft()
            errors.add(text)

    def send_stream(self, record, id, data):
        """Send data in as many records as it takes, the first two bytes of which are given."""
        view = memoryview(data)
        for i in range(0, len(view), CONTENT):
            part = view[i:i + CONTENT]
            self.send(b''.join((record, id, len(part).to_bytes(2, 'big'), b'\0\0', part)))

    def whole(self):
        """Report whether the next record has been received."""
        data, at = self.data, self.used
        return len(data) - at >= 8 and len(data) - at >= 8 + (data[at + 4] << 8 | data[at + 5]) + data[at + 6]

    def record(self):
        """Return type, id and content of the next record."""
        data, at = self.data, self.used
        while True:
            if len(data) - at >= 8:
                content = at + 8
                end = content + (data[at + 4] << 8 | data[at + 5])
                if len(data) >= end + data[at + 6]:
                    self.data, self.used = data, end + data[at + 6]
                    return data[at + 1], data[at + 2:at + 4], data[content:end]
            try:
                more = self.recv(RECEIVE)
            except OSError as e:
                raise self.lost(e) from None
            if not more:
                raise self.lost(None)
            data, at = data[at:] + more, 0

    def begin(self):
        """Wait for a request. Return its id, its variables as a dict, and whether STDIN follows.

        None is the end of the connection."""
        try:
            if self.used == len(self.data):
                self.idle = True
                self.data, self.used = data, at = self.recv(RECEIVE), 0
                self.idle = False
                # Mostly all is there, in three or four records: the variables in one.
                id = data[2:4]
                if data[16:20] == b'\1\4' + id and data[1] == BEGIN_REQUEST and data[9] == 1 and data[10] & 1:
                    end = 24 + (data[20] << 8 | data[21])
                    at = end + data[22]
                    if data[at:at + 16] == b'\1\4' + id + EMPTY + b'\1\5' + id + EMPTY:
                        self.used = at + 16
                        return id, decode(data[24:end]), False
                    if data[at:at + 8] == b'\1\4' + id + EMPTY:
                        self.used = at + 8
                        return id, decode(data[24:end]), True
            return self.begin_slowly()
        except Gone:
            return None
        except OSError as e:
            self.lost(e)
            return None
        finally:
            self.idle = False

    def begin_slowly(self):
        """Do what begin does, record by record."""
        id, params = None, []
        while True:
            kind, of, content = self.record()
            if kind == BEGIN_REQUEST and id is None:
                if content[1] == 1:
                    id, params = of, []
                    self.stopping = self.stopping or not content[2] & 1
                else:
                    self.send(END_RECORD + of + b'\0\x08\0\0' + b'\0\0\0\0\3\0\0\0')
            elif id is None or of != id:
                self.other(kind, of)
            elif kind == PARAMS and content:
                params.append(content)
            elif kind == PARAMS:
                return id, decode(b''.join(params)), True
            elif kind == ABORT_REQUEST:
                self.send(FREE + END_RECORD + id + FAILED)
                id = None

    def other(self, kind, of):
        """Do what is to be done about a record that is not of the request."""
        if kind == GET_VALUES:
            self.send(VALUES)
        elif of == b'\0\0':
            self.send(b'\1\x0b\0\0\0\x08\0\0' + bytes([kind]) + b'\0' * 7)
        elif kind == BEGIN_REQUEST:
            self.send(END_RECORD + of + b'\0\x08\0\0' + b'\0\0\0\0\1\0\0\0')

    def aborted(self, id):
        """Report whether the gateway has aborted the request. All of STDIN has been received."""
        while self.used < len(self.data) or self.poll.poll(0):
            kind, of, _ = self.record()
            if kind == ABORT_REQUEST and of == id:
                return True
            self.other(kind, of)
        return False

    def stop(self, *_):
        """End after the request that is served, if one is: the handler of SIGTERM.

        What the gateway has sent already is served. What it sends from now on fails at once, and goes to
        another worker."""
        self.stopping = True
        if self.idle:
            self.stop_receiving()

    def stop_receiving(self):
        """Let the gateway's next bytes fail."""
        try:
            self.socket.shutdown(socket.SHUT_RD)
        except OSError:
            pass

    def close(self):
        """Let the gateway know that this worker ends."""
        try:
            self.socket.close()
        except OSError:
            pass

    def leave(self):
        """Leave the connection to the parent: this is a child."""
        self.forked = self.gone = True
        self.lock = RLock()
        self.wanted = False
        self.waiting.clear()  # which the parent sends
        self.stderr.request.line = ''  # and this
        self.close()
        if signal.getsignal(signal.SIGTERM) == self.stop:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def decode(params):
    """Return the name-value pairs (FastCGI 1.0 section 3.4) as a dict of str, a byte a character."""
    text = params.decode('latin-1')
    pairs = {}
    at, end = 0, len(params)
    while at < end:
        name, value = params[at], params[at + 1]
        if name < 128 and value < 128:
            split = at + 2 + name
            at = split + value
            pairs[text[split - name:split]] = text[split:at]
            continue
        at += 1
        if name >= 128:
            name, at = int.from_bytes(params[at - 1:at + 3], 'big') & 0x7fffffff, at + 3
        value, at = params[at], at + 1
        if value >= 128:
            value, at = int.from_bytes(params[at - 1:at + 3], 'big') & 0x7fffffff, at + 3
        split = at + name
        pairs[text[at:split]] = text[split:split + value]
        at = split + value
    return pairs


# What an application gets in its environ.


class Input:
    """wsgi.input: the body of a request.

    It ends with the body. One of which less has come than CONTENT_LENGTH says is an OSError."""

    __slots__ = ('link', 'id', 'buffer', 'at', 'left', 'ended', 'failure', 'aborted')

    def __init__(self, link, id, length, ended):
        self.link = link
        self.id = id
        self.buffer = b''  # of what has come
        self.at = 0  # what follows has not been read
        self.left = length  # bytes that are still to come, or None
        self.ended = ended  # all of STDIN has come
        self.failure = None  # why there is no more, unless that is the end
        self.aborted = False  # the request was

    def read(self, size=-1):
        """Return size bytes, or fewer at the end of the body; all that is left without a size."""
        at, buffer = self.at, self.buffer
        if size is not None and 0 <= size <= len(buffer) - at:
            self.at = at + size
            return buffer[at:at + size]
        wanted = sys.maxsize if size is None or size < 0 else size
        parts = []
        while wanted > 0:
            part = self.buffer[self.at:self.at + wanted] if self.at or wanted < len(self.buffer) else self.buffer
            self.at += len(part)
            wanted -= len(part)
            parts.append(part)
            if wanted > 0 and not self.fill():
                break
        return b''.join(parts)

    def readline(self, size=-1):
        """Return a line with its end, at most size bytes of it."""
        wanted = sys.maxsize if size is None or size < 0 else size
        parts = []
        while wanted > 0:
            end = self.buffer.find(b'\n', self.at) + 1
            stop = min(end or len(self.buffer), self.at + wanted)
            part = self.buffer[self.at:stop]
            self.at = stop
            wanted -= len(part)
            parts.append(part)
            if 0 < end == stop or wanted > 0 and not self.fill():
                break
        return b''.join(parts)

    def readlines(self, hint=-1):
        """Return the lines that are left, or as many as have hint bytes."""
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def preload(self):
        """Take what has come with the request."""
        parts = []
        while not self.ended and self.link.whole():
            parts.append(self.receive())
        self.keep(b''.join(parts))

    def keep(self, content):
        """Let content be the buffer."""
        if self.left is not None:
            content = content[:self.left]
            self.left -= len(content)
        self.buffer, self.at = content, 0

    def fill(self):
        """Let the next bytes be the buffer. Report whether there are any."""
        self.buffer, self.at = b'', 0
        if self.left == 0:
            return False
        if self.failure is None:
            self.keep(self.receive())
            if self.failure is None and not self.buffer and self.left:
                self.failure = 'the body of the request has ended %d bytes before its CONTENT_LENGTH' % self.left
        if self.failure is not None:
            raise (Aborted if self.aborted else OSError)(self.failure)
        return bool(self.buffer)

    def receive(self):
        """Return the content of the next record of STDIN; it is empty at the end."""
        while not self.ended:
            try:
                kind, of, content = self.link.record()
            except Gone as e:
                self.failure, self.ended = str(e), True
                break
            if of != self.id:
                self.link.other(kind, of)
            elif kind == STDIN:
                self.ended = not content
                return content
            elif kind == ABORT_REQUEST:
                self.failure, self.ended, self.aborted = 'the client has left', True, True
        return b''

    def drain(self):
        """Receive the rest, so that the next request follows. Nothing can be read any more."""
        while not self.ended:
            self.receive()
        self.buffer, self.at, self.left = b'', 0, 0


class Errors:
    """wsgi.errors: text for the log of the gateway, which names the request with each line.

    It may be written to by threads, and in the midst of anything: by handlers of signals, and by what the
    garbage collector calls. So nothing waits here: what comes while a record is sent is sent behind it."""

    __slots__ = ('link', 'id', 'line')

    encoding = 'utf-8'
    errors = 'backslashreplace'
    LINE = 8 << 10  # characters of a line that are kept back at most

    def __init__(self, link, id):
        self.link = link
        self.id = id  # None when the request has ended
        self.line = ''  # what was written of it

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError('write() argument must be str, not ' + type(text).__name__)
        self.put(text)
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if self.line or self.link.waiting:
            self.put(None)

    def isatty(self):
        return False

    def put(self, text):
        """Let text be sent, or None for what is kept back of a line."""
        link = self.link
        if self.id is None or link.forked or len(link.waiting) >= WAITING:
            link.log.write(text or '')
        else:
            link.waiting.append((self, text))
            link.send_waiting()

    def add(self, text):
        """Send the lines that text ends, and keep back the rest; with None, send that, too. The lock is held."""
        whole = self.line + (text or '')
        end = whole.rfind('\n') + 1
        if text is None or self.id is None or len(whole) - end > self.LINE:
            end = len(whole)
        self.line = whole[end:]
        if end:
            self.send(whole[:end])

    def send(self, text):
        """Send text, unless the request has ended meanwhile. The lock is held."""
        try:
            if self.id is not None:
                self.link.send_stream(STDERR_RECORD, self.id, text.encode('utf-8', 'backslashreplace'))
                return
        except Gone:
            pass
        self.link.log.write(text)

    def close(self):
        """Let the request end. What threads write later goes to the log of the process."""
        self.link.hold(self.close_locked)

    def close_locked(self):
        self.link.send_waiting_locked()
        self.add(None)
        self.id = None


class Log:
    """The log of the process, for what is of no request.

    It has a descriptor of its own, which stays as it is when the application closes, detaches or redirects
    sys.stderr. Nothing is kept back, and there is no lock: handlers of signals, threads and children may write to
    it at any time. What cannot be written is nobody's error."""

    def __init__(self, encoding):
        self.fd = high(2)
        self.encoding = encoding

    def write(self, text):
        data = text.encode(self.encoding, 'backslashreplace')
        for fd in (self.fd, 2):
            try:
                while data:
                    data = data[os.write(fd, data):]
            except OSError:
                continue


class Stderr(io.TextIOWrapper):
    """sys.stderr. What is written to it is of the request that is served, as if it had been written to its wsgi.errors.

    Its buffer and its descriptor lead to the log of the process."""

    mode = 'w'
    request = None  # wsgi.errors of the last request; before the first, of one that has ended
    before = None  # the sys.stderr of the interpreter: the buffer of which is closed with it, and others may have both

    def write(self, text):
        return self.request.write(text)

    def flush(self):
        self.request.flush()


class FileWrapper:
    """wsgi.file_wrapper: an iterable over the blocks of a file."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, 'close'):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        block = self.filelike.read(self.blksize)
        if not block:
            raise StopIteration
        return block


def file_of(filelike):
    """Return the open file of which read() of a file-like object reads the bytes as they are, or None.

    One that has a file, but changes what is in it, has a read() of its own: GzipFile, for one."""
    if type(filelike).__name__ == '_TemporaryFileWrapper' and type(filelike).__module__ == 'tempfile':
        filelike = filelike.file
    read = getattr(filelike, 'read', None)
    file = getattr(read, '__self__', None)
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    if type(read) is type(len) and read.__name__ == 'read' and type(raw) is io.FileIO:
        return file
    return None


# What an application may say in start_response. The names and statuses that have been used are remembered.

HOP_BY_HOP = frozenset(('connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailers',
                        'transfer-encoding', 'upgrade'))
REMEMBERED = 1000
names = {}  # whether it is Content-Length
statuses = set()

find_control = re.compile('[\0-\x08\x0a-\x1f\x7f]').search
match_token = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def check_name(name, value):
    """Report whether a header field is Content-Length. One with a name that may not be sent is an error."""
    if type(name) is not str:
        raise AssertionError('Header name must be of type str (got %r)' % (name,))
    if not match_token(name):
        raise ValueError('Header name %r is not a token (RFC 9110 section 5.1)' % name)
    lower = name.lower()
    if lower in HOP_BY_HOP:
        raise AssertionError("Hop-by-hop header, '%s: %s', not allowed" % (name, value))
    if lower == 'status':
        raise AssertionError('the header Status is not allowed: the status is the first argument of start_response')
    if len(names) < REMEMBERED:
        names[name] = lower == 'content-length'
    return lower == 'content-length'


def check_status(status):
    """Raise an error for a status that may not be sent."""
    if type(status) is not str:
        raise AssertionError('Status must be of type str (got %r)' % (status,))
    check_text('the status', status)
    if len(status) < 4:
        raise AssertionError('Status must be at least 4 characters')
    if not (status[:3].isdigit() and status[:3].isascii()):
        raise AssertionError('Status message must begin w/3-digit code')
    if status[3] != ' ':
        raise AssertionError('Status message must have a space after code')
    if status < '200':
        raise AssertionError('Status %r is not one of a response: it begins at 200' % status)
    if len(statuses) < REMEMBERED:
        statuses.add(status)


def check_text(what, text):
    """Raise an error for the text of a head that cannot be sent."""
    if find_control(text):
        raise ValueError('Control characters not allowed in %s: %r' % (what, text))
    try:
        text.encode('latin-1')
    except UnicodeEncodeError:
        raise ValueError('%s is not latin-1 (PEP 3333): encode it: %r' % (what, text)) from None


class Response:
    """The response to one request."""

    __slots__ = ('link', 'id', 'input', 'errors', 'for_head', 'called', 'head', 'length', 'empty', 'bodiless', 'begun', 'sent', 'ended', 'freed')

    def __init__(self, link, id, input, errors, for_head):
        self.link = link
        self.id = id
        self.input = input
        self.errors = errors
        self.for_head = for_head  # the method is HEAD
        self.called = False  # start_response was called
        self.head = None  # its bytes, without the end of the last line
        self.length = None  # Content-Length, as declared
        self.empty = False  # the status has no body (RFC 9110 section 6.4.1)
        self.bodiless = False  # no body is sent, whatever the application yields
        self.begun = False  # the head has been sent
        self.sent = 0  # bytes of the body
        self.ended = False  # END_REQUEST has been sent
        self.freed = False  # FREE has been sent

    def start_response(self, status, headers, exc_info=None):
        """Set status and header fields (PEP 3333). Nothing is sent yet."""
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no circle of references
        elif self.called:
            raise AssertionError('Headers already set!')
        self.called = True
        if status not in statuses:
            check_status(status)
        if type(headers) is not list:
            raise TypeError('Headers must be of type list: a list of name/value tuples')
        length = None
        lines = ['Status: ' + status]
        for name, value in headers:
            is_length = names.get(name)
            if is_length is None:
                is_length = check_name(name, value)
            if type(value) is not str:
                raise AssertionError('Header value must be of type str (got %r)' % (value,))
            if is_length:
                if not (value.isdigit() and value.isascii()):
                    raise AssertionError('Content-Length must be a number (got %r)' % value)
                length = int(value)
            lines.append(name + ': ' + value)
        text = ''.join(lines)
        if not (text.isprintable() and text.isascii()):
            for name, value in headers:
                check_text('header ' + name, value)
        self.head = '\r\n'.join(lines).encode('latin-1')
        self.length = length
        self.empty = status.startswith(('204', '304'))
        self.bodiless = self.empty or self.for_head
        return self.write

    def write(self, data):
        """Send a block of the body (PEP 3333)."""
        if type(data) is bytes and self.length is not None and self.sent + len(data) > self.length:
            raise AssertionError('write() of more than the Content-Length of %d bytes' % self.length)
        self.send(data)

    def send(self, block):
        """Send a block, and the head before the first one."""
        self.check(block)
        if self.begun and (self.input.aborted or self.input.ended and self.link.aborted(self.id)):
            raise Aborted('the client has left')
        head = b'' if self.begun else self.begin(b'')
        self.link.send_stream(STDOUT_RECORD, self.id, head + self.cut(block))

    def check(self, block):
        """Raise an error for a block that may not be sent."""
        if type(block) is not bytes:
            raise AssertionError('a block of the body must be of type bytes (got %s)' % type(block).__name__)
        if self.head is None:
            raise AssertionError('start_response() was not called before the first block of the body')

    def begin(self, more):
        """Return the bytes of the head, which is sent now, with more lines."""
        self.begun = True
        return self.head + more + b'\r\n\r\n'

    def cut(self, block):
        """Return what is sent of a block."""
        if self.bodiless:
            return b''
        if self.length is not None and self.sent + len(block) > self.length:
            block = block[:self.length - self.sent]
            self.errors.write('gatehouse: the response is longer than its Content-Length of %d bytes: it was cut\n' % self.length)
        self.sent += len(block)
        return block

    def is_last(self, block):
        """Report whether nothing of the body is to be sent behind a block."""
        return self.bodiless or self.length is not None and self.sent + len(block) >= self.length

    def end(self, block, free, single=False):
        """Send the last block and the end of the request, and FREE if that is given.

        The length of a single block is that of the body."""
        head, status = b'', COMPLETE
        if not self.begun:
            self.check(block)
            more = b''
            if self.length is None and (block and single and not self.empty or not block and not self.bodiless):
                more = b'\r\nContent-Length: %d' % len(block)
            head = self.begin(more)
        block = self.cut(block)
        if self.length is not None and self.sent < self.length and not self.bodiless:
            status = self.too_short(self.sent)
        self.finish(head + block, free, status)

    def fail(self, free):
        """End the request because of an error: by a page that says so, unless the head has been sent."""
        if self.begun:
            self.finish(b'', free, FAILED)
            return
        self.head, self.length, self.empty, self.bodiless = ERROR_HEAD, None, False, self.for_head
        self.end(ERROR_BODY, free, True)

    def finish(self, content, free, status):
        """Send the end of the request, behind content."""
        link, id, size = self.link, self.id, len(content)
        if size > CONTENT or size and not self.input.ended:
            self.errors.flush()
            link.send_stream(STDOUT_RECORD, id, content)
            size = 0
        free = self.settle(free)
        if size:
            link.send(b''.join((STDOUT_RECORD, id, size.to_bytes(2, 'big'), b'\0\0', content, free, END_RECORD, id, status)))
        else:
            link.send(b''.join((free, END_RECORD, id, status)))

    def settle(self, free):
        """Let nothing more of the request come or go, but for its end. Return FREE if that is sent with it."""
        self.errors.close()
        self.ended = True
        self.input.drain()
        if self.link.stopping:
            free = b''
        self.freed = bool(free)
        return free

    def too_short(self, size):
        """Log that a body is shorter than Content-Length. Return the status of END_REQUEST."""
        self.errors.write('gatehouse: the response ends %d bytes before its Content-Length of %d\n' % (self.length - size, self.length))
        return FAILED

    def send_file(self, wrapper, free):
        """Send the file of a FileWrapper. Report whether that has been done: otherwise it is to be iterated over.

        A large one is passed on: the gateway sends it."""
        file = file_of(wrapper.filelike)
        if file is None or self.begun or self.bodiless or self.head is None or len(self.head) > CONTENT // 2:
            return False
        try:
            file.flush()
            at, fd = file.tell(), file.fileno()
            info = os.fstat(fd)
        except (OSError, ValueError):
            return False
        size = info.st_size - at
        if not stat.S_ISREG(info.st_mode) or not file.readable():
            return False
        if self.length is not None:
            size = min(size, self.length)
        if size <= 0:
            return False
        if size <= CONTENT // 2:
            self.end(file.read(size), free, True)
            return True
        link, id, status = self.link, self.id, COMPLETE
        head = self.begin(b'' if self.length is not None else b'\r\nContent-Length: %d' % size)
        if self.length is not None and size < self.length:
            status = self.too_short(size)
        free = self.settle(free)
        link.send_file(b''.join((STDOUT_RECORD, id, len(head).to_bytes(2, 'big'), b'\0\0', head,
                                 FILE_RECORD, id, b'\0\x10\0\0', at.to_bytes(8, 'big'), size.to_bytes(8, 'big'),
                                 free, END_RECORD, id, status)), fd)
        return True


ERROR_HEAD = b'Status: 500 Internal Server Error\r\nContent-Type: text/plain'
ERROR_BODY = b'A server error occurred.  Please contact the administrator.'


# A request.


def serve(link, application, shared):
    """Serve requests until the end of the connection."""
    while True:
        if link.stopping:
            link.stop_receiving()
        request = link.begin()
        if request is None or not serve_request(link, application, shared, *request):
            return


def serve_request(link, application, shared, id, environ, has_body):
    """Serve a request. Report whether there may be another."""
    get = environ.get
    length = get('CONTENT_LENGTH')
    input = Input(link, id, int(length) if length else None, not has_body)
    if has_body:
        input.preload()
    link.stderr.request = errors = Errors(link, id)
    response = Response(link, id, input, errors, get('REQUEST_METHOD') == 'HEAD')
    https = get('HTTPS')
    if https:
        secure = https.lower() in ('on', '1', 'yes', 'true')
    else:
        secure = get('REQUEST_SCHEME', '').lower() == 'https'
    environ.update(shared)
    environ['wsgi.url_scheme'] = 'https' if secure else 'http'
    environ['wsgi.input'] = input
    environ['wsgi.errors'] = errors
    close, failed, over = None, False, False
    try:
        result = application(environ, response.start_response)
        kind = type(result)
        if result is None:
            raise TypeError('the application has returned None, and not an iterable of bytes')
        if kind is list or kind is tuple:
            if len(result) != 1 and set(map(type, result)) == {bytes} and sum(map(len, result)) <= CONTENT:
                response.end(b''.join(result), FREE)
            else:
                respond(response, result, FREE)
        else:
            close = getattr(result, 'close', None)
            free = b'' if close else FREE
            if kind is not FileWrapper or not response.send_file(result, free):
                respond(response, result, free)
    except BaseException as e:
        if link.forked:
            raise
        failed, over = True, not isinstance(e, Exception)
        report(response, environ, e)
    if close is not None:
        try:
            close()
        except BaseException as e:
            if link.forked:
                raise
            failed, over = True, over or not isinstance(e, Exception)
            report(response, environ, e)
    free = b'' if over or link.stopping else FREE
    try:
        if not response.ended:
            response.fail(free)
        elif free and not response.freed:
            link.send(free)
    except Gone:
        pass
    return not over and not link.gone


def respond(response, result, free):
    """Send the blocks of an iterable as they come."""
    try:
        single = len(result) == 1
    except (TypeError, AttributeError, NotImplementedError):
        single = False
    for block in result:
        if type(block) is bytes and not block and not single:
            continue
        response.check(block)
        if single or response.is_last(block):
            response.end(block, free, single)
            return
        response.send(block)
    response.end(b'', free)


def report(response, environ, error):
    """Log an error of the application."""
    if response.link.gone or isinstance(error, (Gone, Aborted)):
        return
    errors = response.errors
    if response.ended:
        errors.write('gatehouse: an error behind the response, in request %s\n' % environ.get('REQUEST_ID', ''))
    errors.write(trace(error))
    if not isinstance(error, Exception):
        errors.write('gatehouse: the application has raised %s: this worker ends\n' % type(error).__name__)


def trace(error):
    """Return the traceback of an error, without what belongs to this file."""
    exception = traceback.TracebackException.from_exception(error)
    todo, seen = [exception], set()
    while todo:
        e = todo.pop()
        if e is None or id(e) in seen:
            continue
        seen.add(id(e))
        if e.stack is not None:
            e.stack = traceback.StackSummary.from_list([frame for frame in e.stack if frame.filename != FILE])
        todo += [e.__cause__, e.__context__, *(getattr(e, 'exceptions', None) or ())]
    return ''.join(exception.format())


# The process.


class Unsuitable(Exception):
    """What was found is no WSGI application."""


def load(target):
    """Import MODULE:ATTR, and return the application."""
    module, _, name = target.partition(':')
    __import__(module)
    found = sys.modules[module]
    for part in name.split('.'):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Unsuitable('module %s (%s) has no %r: %s' % (
                module, getattr(sys.modules[module], '__file__', '?'), name, advise(module))) from None
    if not callable(found):
        raise Unsuitable('%s is no WSGI application: it cannot be called (it is of type %s): %s' % (target, type(found).__name__, advise(module)))
    asynchronous = Unsuitable('%s is an ASGI application, and this serves those of WSGI: see a2wsgi, or serve it with uvicorn' % target)
    for call in (found, getattr(found, '__call__', None)):
        code = getattr(call, '__code__', None)
        if code is not None and code.co_flags & 0x80:  # CO_COROUTINE
            raise asynchronous
    names, least, most = parameters(found)
    if names == ('scope', 'receive', 'send'):
        raise asynchronous
    if not least <= 2 <= most:
        what = 'the class %s' if isinstance(found, type) else '%s'
        what = (what + ' takes %s, and a WSGI application takes 2') % (target, '1 argument' if most == 1 else '%d arguments' % (most if most < 2 else least))
        if most < 2:
            what += ': if it makes the application, write application = %s() in %s, and %s:application' % (name, module, module)
        raise Unsuitable(what)
    return found


def parameters(found):
    """Return the names of the arguments of a callable, how many it takes at least, and at most, if it is written in Python."""
    call, own = found, 0
    if type(found) is type:
        call, own = written(found, '__init__'), 1
        if call is object.__init__ and written(found, '__new__') is object.__new__:
            return (), 0, 0
    elif type(found) is type(load.__get__(0)):
        call, own = found.__func__, 1
    elif type(found) is not type(load):
        call, own = written(type(found), '__call__'), 1
    if type(call) is not type(load):
        return (), 0, sys.maxsize
    code = call.__code__
    names = code.co_varnames[own:code.co_argcount]
    return names, len(names) - len(call.__defaults__ or ()), sys.maxsize if code.co_flags & 0x04 else len(names)  # CO_VARARGS


def written(found, name):
    """Return a method of a class as it is written there."""
    for c in found.__mro__:
        if name in vars(c):
            return vars(c)[name]


def advise(module):
    """Return which attribute of a module may be the application."""
    def has(name):
        return callable(getattr(sys.modules[module], name, None))

    for name in 'application', 'app', 'wsgi':
        if has(name):
            return 'write %s:%s' % (module, name)
    for name in 'create_app', 'make_app', 'get_wsgi_application':
        if has(name):
            return 'it makes one by %s(): write application = %s() in it, and %s:application' % (name, name, module)
    return 'write the name of the application behind %s:' % module


def explain(target, directory, error):
    """Return what to do about an application that could not be imported from a directory, or nothing."""
    if isinstance(error, Unsuitable):
        return 'gatehouse: %s\n' % error
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not name:
        return ''
    module = target.partition(':')[0]
    above, folder = os.path.split(directory)
    if name.partition('.')[0] == folder and folder not in sys.modules and os.path.exists(os.path.join(directory, '__init__.py')):
        return 'gatehouse: there is no module %s in %s, which is that package itself: write %s as directory, or start gatehouse there, and %s\n' % (
            name, directory, above, target if (module + '.').startswith(folder + '.') else folder + '.' + target)
    if (module + '.').startswith(name + '.'):
        return 'gatehouse: there is no module %s in %s, nor among the packages of %s: write the folder that it is in as directory, or start gatehouse there\n' % (
            name, directory, sys.executable)
    package = sys.modules.get(name.rpartition('.')[0])
    if package is not None:
        return 'gatehouse: %s needs the module %s, which is not in %s: is its name right, also in variables such as DJANGO_SETTINGS_MODULE?\n' % (
            module, name, ' or '.join(getattr(package, '__path__', None) or [package.__name__]))
    return 'gatehouse: %s needs the module %s, which %s does not have: install it there, or write the virtual environment that has it as python\n' % (
        module, name, sys.executable)


def set_up(link):
    """Move the connection out of the way of the application, and set what the gateway signals."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True, errors='backslashreplace')
    link.log = Log(sys.stderr.encoding)
    raw = io.FileIO(2, 'w', closefd=False)
    raw.name = sys.stderr.name
    stderr = Stderr(raw, sys.stderr.encoding, 'backslashreplace', line_buffering=True, write_through=sys.stderr.write_through)
    stderr.request, stderr.before = Errors(link, None), sys.stderr
    link.stderr = sys.stderr = sys.__stderr__ = stderr
    faulthandler.enable(link.log.fd)
    faulthandler.register(signal.SIGUSR1, link.log.fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, link.stop)
    os.register_at_fork(after_in_child=link.leave)


def high(fd):
    """Return a duplicate of a descriptor with a number that applications do not close by mistake."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)
    except OSError:  # the limit is lower
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def main(connection, arguments):
    """Serve the application that the arguments name: wsgi MODULE:ATTR, and options."""
    target, options = arguments[1], arguments[2:]
    link = Link(socket.socket(fileno=high(connection.fileno())))
    connection.detach()
    set_up(link)
    sys.argv[:] = ['gatehouse']
    linecache.cache.pop('<string>', None)  # Python 3.13 would show the bootstrap in tracebacks
    if sys.path[:1] == ['']:
        del sys.path[0]
    directory = os.getcwd()
    sys.path.insert(0, directory)
    try:
        application = load(target)
    except BaseException as e:
        link.log.write(explain(target, directory, e) + ('' if isinstance(e, Unsuitable) else trace(e)))
        sys.exit(1)
    if '--validate' in options:
        from wsgiref.validate import validator
        application = validator(application)
    gc.collect()
    gc.freeze()
    serve(link, application, {
        'wsgi.version': (1, 0),
        'wsgi.multithread': False,
        'wsgi.multiprocess': '--multiprocess' in options,
        'wsgi.run_once': False,
        'wsgi.file_wrapper': FileWrapper,
        'wsgi.input_terminated': True,
    })
    link.close()


if __name__ == 'gatehouse-worker':
    main(connection, sys.argv[1:])  # noqa: F821: the bootstrap has set it
