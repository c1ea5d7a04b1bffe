"""Answers questions about wsgiref, for a test that compares.

Each line of the input is a JSON object: "ask" names one of ANSWERS, the other keys
are that function's arguments. The first line of the output is the version of Python,
each other one the answer to a question, in order. A string stands for bytes, one a
character, as PEP 3333 has it.
"""

import json
import sys
from wsgiref import headers, util

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

ANSWERS = {
    f.__name__: f
    for f in (shift_path_info, uris, setup_testing_defaults, is_hop_by_hop, header_list)
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
