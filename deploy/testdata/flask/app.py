import hashlib
import sys

from flask import Flask, Response, redirect, request, send_file, session, stream_with_context, url_for

app = Flask(__name__)
app.secret_key = "only for tests"


@app.get("/")
def index():
    session["visits"] = session.get("visits", 0) + 1
    return f"visit {session['visits']}, {request.scheme}, {request.host}, {url_for('hello', name='x', _external=True)}"


@app.get("/hello/<name>")
def hello(name):
    return f"hello {name}, {request.args.get('greeting', '')}"


@app.get("/old")
def old():
    return redirect(url_for("hello", name="ü"))


@app.post("/upload")
def upload():
    file = request.files["file"]
    digest = hashlib.sha256()
    size = 0
    while chunk := file.stream.read(1 << 16):
        digest.update(chunk)
        size += len(chunk)
    return f"{file.filename} {size} {digest.hexdigest()}\n"


@app.get("/download")
def download():
    return send_file("/srv/flask/large.bin", conditional=True)


@app.get("/stream")
def stream():
    def lines():
        yield "first\n"
        with open("/srv/test/proceed") as pipe:
            yield pipe.readline()

    return Response(stream_with_context(lines()), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})


@app.get("/fails")
def fails():
    raise ValueError("a view that fails")


@app.get("/fails-later")
def fails_later():
    def lines():
        yield "first\n" * 10_000
        raise ValueError("a stream that fails")

    return Response(lines(), mimetype="text/plain")


@app.get("/prints")
def prints():
    print("printed by the application", flush=True)
    print("an error of the application", file=request.environ["wsgi.errors"])
    print("on standard error", file=sys.stderr)
    return "printed"
