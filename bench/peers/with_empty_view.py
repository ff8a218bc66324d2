"""The project's own web process with one more address, an empty view: what any request costs before somebody does something."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from config.wsgi import application

__all__ = ["application", "urlpatterns"]


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty", empty), path("", include("config.urls"))]
settings.ROOT_URLCONF = __name__  # read anew by each request
