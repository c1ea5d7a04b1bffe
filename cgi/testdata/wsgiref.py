"""Answers questions about wsgiref, for a test that compares.

Each line of the input is a JSON object: "ask" names one of ANSWERS, the other keys
are that function's arguments. The first line of the output is the version of Python,
each other one the answer to a question, in order. A string stands for bytes, one a
character, as PEP 3333 has it.
"""

import io
import json
import sys
import time
import types
from wsgiref import handlers, headers, util

SCHEME = "wsgi.url_scheme"


def shift_path_info(env):
    name = util.shift_path_info(env)
    return {"name": name, "env": env}


def uris(env, scheme):
    guessed = util.guess_scheme(env)
    env[SCHEME] = scheme or guessed
    return {
        "guess_scheme": guessed,
        "application_uri": or_missing(util.application_uri, env),
        "request_uri": or_missing(util.request_uri, env),
        "without_query": or_missing(util.request_uri, env, False),
    }


def or_missing(function, *args):
    try:
        return function(*args)
    except KeyError as error:
        return {"missing": error.args[0]}


def setup_testing_defaults(env, scheme):
    if scheme:
        env[SCHEME] = scheme
    util.setup_testing_defaults(env)
    variables = [[name, value] for name, value in env.items() if "." not in name]
    return {"scheme": env[SCHEME], "variables": variables}


def is_hop_by_hop(name):
    return util.is_hop_by_hop(name)


def header_list(fields, steps):
    h = headers.Headers([tuple(field) for field in fields])
    answers = [HEADER_STEPS[step[0]](h, *step[1:]) for step in steps]
    if bytes(h) != str(h).encode("latin-1"):
        raise AssertionError("str and bytes differ")
    return {"answers": answers, "str": str(h)}


HEADER_STEPS = {
    "len": lambda h: len(h),
    "get": lambda h, name: h.get(name),
    "in": lambda h, name: name in h,
    "get_all": lambda h, name: h.get_all(name),
    "keys": lambda h: h.keys(),
    "items": lambda h: h.items(),
    "set": lambda h, name, value: h.__setitem__(name, value),
    "del": lambda h, name: h.__delitem__(name),
    "setdefault": lambda h, name, value: h.setdefault(name, value),
    "add_header": lambda h, name, value, params: h.add_header(name, value, **dict(params)),
}


class Failure(Exception):
    """What an application raises."""


class Application:
    """An application that does what it is told, in steps.

    A step is a list: what, and its arguments. "start" calls start_response; it may
    pass an exception, may go on after it failed, and may have to take a head for
    refused that wsgiref would let pass. An application whose last head was refused
    gives up when it comes to the body.
    """

    def __init__(self, handler, call, body):
        self.handler, self.call, self.body = handler, call, body
        self.refused = self.gave_up = False
        self.made = self.closed = 0

    def __call__(self, environ, start_response):
        self.begin = start_response
        for step in self.call:
            self.do(*step)
        if self.body["kind"] == "file":
            self.check_head()
            self.made += 1
            return environ["wsgi.file_wrapper"](File(self), self.body["block"])
        self.made += 1
        return (SizedBody if self.body["kind"] == "list" else Body)(self)

    def do(self, what, *args):
        getattr(self, what)(*args)

    def start(self, status, fields, cause, caught, refused):
        h = self.handler
        ignored = h.headers_sent if cause else h.headers is not None
        try:
            self.start_response(status, [tuple(field) for field in fields], cause, refused)
        except (AssertionError, Failure):
            self.refused = self.refused or not ignored
            if not caught:
                raise
        else:
            self.refused = False

    def start_response(self, status, fields, cause, refused):
        if refused:
            status, fields = "200 OK", []
        if cause:
            try:
                raise Failure("cause")
            except Failure:
                self.writer = self.begin(status, fields, sys.exc_info())
        else:
            self.writer = self.begin(status, fields)
        if refused:
            raise AssertionError("refused")

    def write(self, data):
        self.check_head()
        self.writer(data.encode("latin-1"))

    def fail(self):
        raise Failure("told to")

    def check_head(self):
        if self.refused:
            self.gave_up = True
            raise Failure("the head was refused")

    def blocks(self):
        for step in self.body["steps"]:
            if step[0] == "yield":
                self.check_head()
                yield step[1].encode("latin-1")
            else:
                self.do(*step)
        self.check_head()

    def close(self):
        self.closed += 1
        if self.body["close_fails"]:
            raise Failure("closing")


class Body:
    def __init__(self, application):
        self.application = application

    def __iter__(self):
        return self.application.blocks()

    def close(self):
        self.application.close()


class SizedBody(Body):
    def __len__(self):
        return self.application.body["count"]


class File:
    def __init__(self, application):
        self.read = io.BytesIO(application.body["data"].encode("latin-1")).read
        self.close = application.close


class Observed:
    """What a handler does, for the answer."""

    os_environ = {}
    head = sent_status = sent_fields = None  # the length of the first head, and what it was
    own_length = False
    broke_off = False
    at_close = None

    def start_response(self, status, headers, exc_info=None):
        write = super().start_response(status, headers, exc_info)
        self.given_length = any(name.lower() == "content-length" for name, _ in headers)
        return write

    def send_headers(self):
        super().send_headers()
        if self.head is None:
            self.head = self.stdout.tell()
            self.sent_status, self.sent_fields = self.status, self.headers.items()
            self.own_length = self.given_length

    def handle_error(self):
        self.broke_off = self.headers_sent
        super().handle_error()

    def close(self):
        if self.at_close is None:
            self.at_close = self.stdout.tell()
        super().close()


class CGI(Observed, handlers.BaseCGIHandler):
    pass


class Origin(Observed, handlers.SimpleHandler):
    pass


def run_handler(origin, software, version, now, env, call, body):
    stdout, stderr = io.BytesIO(), io.StringIO()
    h = (Origin if origin else CGI)(io.BytesIO(), stdout, stderr, env)
    h.server_software, h.http_version = software or None, version
    application = Application(h, call, body)
    handlers.time = types.SimpleNamespace(time=lambda: now, gmtime=time.gmtime)
    h.run(application)
    return {
        "out": stdout.getvalue().decode("latin-1"),
        "head": h.head,
        "status": h.sent_status,
        "fields": h.sent_fields,
        "own_length": h.own_length,
        "logged": bool(stderr.getvalue()),
        "broke_off": h.broke_off,
        "at_close": h.at_close,
        "gave_up": application.gave_up,
        "closed_once": application.closed == application.made,
    }


ANSWERS = {
    f.__name__: f
    for f in (
        shift_path_info,
        uris,
        setup_testing_defaults,
        is_hop_by_hop,
        header_list,
        run_handler,
    )
}


def answer(ask, **arguments):
    try:
        return ANSWERS[ask](**arguments)
    except Exception as error:
        return {"error": repr(error)}


def main():
    print(json.dumps(sys.version))
    for line in sys.stdin.buffer:
        print(json.dumps(answer(**json.loads(line))))


if __name__ == "__main__":
    main()
