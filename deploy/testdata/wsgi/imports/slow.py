# An application whose import takes until it has been told to go on, through a named pipe.
with open("/srv/test/import") as pipe:
    pipe.read(1)


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"imported at last\n"]
