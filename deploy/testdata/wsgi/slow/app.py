# Views for clients that are slow, and for those who wait for what comes next.
import hashlib
import os

from flask import Flask, Response, request

app = Flask(__name__)


@app.get("/")
def index():
    return f"worker {os.getpid()}\n"


@app.get("/held")
def held():
    """Hold a worker until it is released through a named pipe, by one byte."""

    def lines():
        yield f"{os.getpid()}\n"
        pipe = os.open("/srv/test/release", os.O_RDONLY)
        os.read(pipe, 1)
        os.close(pipe)
        yield "released\n"

    return Response(lines(), mimetype="text/plain")


@app.post("/upload")
def upload():
    digest = hashlib.sha256()
    size = 0
    while block := request.stream.read(1 << 16):
        digest.update(block)
        size += len(block)
    return f"{size} {digest.hexdigest()}\n"


@app.get("/download")
def download():
    """Send as many numbered lines of 16 bytes as the query says."""
    count = int(request.args["lines"])

    def blocks():
        for first in range(0, count, 4096):
            yield b"".join(b"%15d\n" % i for i in range(first, min(first + 4096, count)))

    return Response(blocks(), mimetype="text/plain", headers={"Content-Length": str(16 * count)})


@app.get("/events")
def events():
    """Send an event for each line of a named pipe, up to one that says "end"."""

    def lines():
        with open("/srv/test/events") as pipe:
            while (line := pipe.readline()) != "end\n":
                yield f"data: {line}\n"

    return Response(lines(), mimetype="text/event-stream")


@app.post("/progress")
def progress():
    """Tell through a named pipe how much of the body has come, whenever that is a line."""
    with open("/srv/test/progress", "w") as pipe:
        for line in request.stream:
            pipe.write(line.decode())
            pipe.flush()
    return "whole\n"
