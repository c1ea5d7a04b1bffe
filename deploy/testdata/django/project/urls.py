import hashlib
import os
import time

from django.contrib import admin
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.csrf import ensure_csrf_cookie

from .version import VERSION


@ensure_csrf_cookie
def index(request):
    """Counts the visits of a session, and says how the request came."""
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(
        f"visit {visits} of {request.user.username or 'nobody'}, {request.scheme}, {request.build_absolute_uri()}, "
        f"secure {request.is_secure()}, from {request.META['REMOTE_ADDR']}\n",
        content_type="text/plain",
    )


def upload(request):
    """Hashes what is uploaded as a file of a form."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return HttpResponse(f"{file.name} {file.size} {digest.hexdigest()}\n", content_type="text/plain")


def stream(request):
    """Sends one line, and the other when it has been read from a named pipe."""

    def lines():
        yield "first\n"
        with open("/srv/test/proceed") as pipe:
            yield pipe.readline()

    response = StreamingHttpResponse(lines(), content_type="text/plain")
    response["X-Accel-Buffering"] = "no"
    return response


def fails(request):
    raise ValueError("a view that fails")


def served(request, name):
    """Notes the name in a file, and says by which version and process."""
    with open("/srv/django/data/served", "ab", buffering=0) as file:
        file.write(name.encode() + b"\n")
    time.sleep(0.002)
    return HttpResponse(f"{VERSION} {os.getpid()}\n", content_type="text/plain")


urlpatterns = [
    path("", index),
    path("admin/", admin.site.urls),
    path("upload", upload),
    path("stream", stream),
    path("fails", fails),
    path("old/", lambda request: redirect("/admin/login/")),
    path("served/<name>", served),
]
