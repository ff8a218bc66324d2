"""INBOX, for those who read feeds: the published editions of a recognizer as Atom (RFC 4287)."""

from datetime import datetime
from typing import Any

from django.contrib.syndication.views import Feed
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import conditional_page, require_safe

from collector.models import Recognizer
from config.addresses import absolute
from newsletter import links
from newsletter.models import Edition
from newsletter.reading import published, read
from newsletter.words import one_line

FEED_EDITIONS = 20  # newest ones; a reader that looks in once a fortnight misses none


class _Atom(Atom1Feed):
    """Without entries the library says "updated: now", and every look would be news."""

    def latest_post_date(self) -> datetime:
        began: datetime = self.feed["began"]
        return max((item["pubdate"] for item in self.items if item["pubdate"]), default=began)


class EditionFeed(Feed):
    feed_type = _Atom

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = super().__call__(request, *args, **kwargs)
        # The newest edition's time is not when this text last changed: a photo withdrawn since makes it another. Only the
        # ETag, which is of the text, may say "as before".
        del answer["Last-Modified"]
        answer["Cache-Control"] = "max-age=300"  # seconds that a withdrawn photo's words may stay in a cache
        return answer

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Recognizer:
        recognizer = Recognizer.objects.filter(slug=kwargs["slug"]).first()
        if recognizer is None:
            raise Http404
        return recognizer

    def title(self, recognizer: Recognizer) -> str:
        return one_line(f"{recognizer.name}: the newsletter", 120)

    def link(self, recognizer: Recognizer) -> str:
        return links.archive(recognizer.slug)

    def feed_url(self, recognizer: Recognizer) -> str:
        return absolute("feed", recognizer.slug)  # not from the Host header, which the asker writes

    def author_name(self, recognizer: Recognizer) -> str:
        return recognizer.name  # RFC 4287, 4.1.1: a feed has an author unless each entry has

    def feed_extra_kwargs(self, recognizer: Recognizer) -> dict[str, Any]:
        return {"began": recognizer.created_at}

    def items(self, recognizer: Recognizer) -> QuerySet[Edition]:
        return published(recognizer.pk).select_related("recognizer")[:FEED_EDITIONS]

    def item_title(self, item: Any) -> str:
        return one_line(item.title, 120)

    def item_description(self, item: Any) -> str:
        return render_to_string("newsletter/feed_item.html", {"reading": read(edition=item), "online": links.edition(item)})

    def item_link(self, item: Any) -> str:
        return links.edition(item)

    def item_pubdate(self, item: Any) -> Any:
        return item.frozen_at

    def item_updateddate(self, item: Any) -> Any:
        return item.frozen_at  # RFC 4287, 4.1.2: each entry has one; withdrawals are no news to tell readers of


feed = require_safe(conditional_page(EditionFeed()))
