"""Two hosts, one process: what strangers sent is served from an origin on which nobody has a cookie or a page."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.request import split_domain_port

from config import addresses
from config.errors import not_found


class MediaHost:
    """With MEDIA_SITE_URL: the media host answers pictures and nothing else; the other hosts answer everything else.

    There, `/media/…` is redirected: pages that were cached before the setting changed, and phones that kept an address, go on
    working, and a redirect carries no byte of a stranger. It is a temporary one (302), since the setting may change again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = addresses.media_host()
        if not host:
            return self.get_response(request)
        here = split_domain_port(request.get_host())[0] == host  # names alone: cookies do not tell ports apart
        wanted = request.path_info.startswith(addresses.MEDIA_PATH)
        if here and not wanted:
            return not_found(request, Exception())
        if wanted and not here:
            return HttpResponseRedirect(settings.MEDIA_SITE_URL + request.get_full_path())
        return self.get_response(request)
