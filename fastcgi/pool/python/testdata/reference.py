"""Runs the applications of rules.py with wsgiref: JSON in, a request each, and JSON out."""

import io
import json
import os
import sys
from wsgiref.handlers import BaseCGIHandler

import rules


class Handler(BaseCGIHandler):
    os_environ = {}


own = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)  # what applications print is no response
responses = []
for request in json.load(sys.stdin):
    environ = dict(v.split('=', 1) for v in request['Vars'])
    stdout, stderr = io.BytesIO(), io.StringIO()
    stdin = io.BytesIO(request['Body'].encode('latin-1'))
    Handler(stdin, stdout, stderr, environ, False, True).run(rules.app)
    responses.append({'Stdout': stdout.getvalue().decode('latin-1'), 'Stderr': stderr.getvalue().encode('utf-8', 'backslashreplace').decode(),
                      'Seen': ' '.join(map(str, rules.noted)).encode('utf-8', 'backslashreplace').decode()})
    del rules.noted[:]
json.dump(responses, own)
