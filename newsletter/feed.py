"""INBOX, for those who read feeds: the published editions of a recognizer as Atom."""

from typing import Any

from django.contrib.syndication.views import Feed
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.template.loader import render_to_string
from django.utils.feedgenerator import Atom1Feed

from collector.models import Recognizer
from newsletter import links
from newsletter.models import Edition
from newsletter.reading import published, read
from newsletter.words import one_line

FEED_EDITIONS = 20  # newest ones; a reader that looks in once a fortnight misses none


class EditionFeed(Feed):
    feed_type = Atom1Feed

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Recognizer:
        recognizer = Recognizer.objects.filter(slug=kwargs["slug"]).first()
        if recognizer is None:
            raise Http404
        return recognizer

    def title(self, recognizer: Recognizer) -> str:
        return one_line(f"{recognizer.name}: the newsletter", 120)

    def link(self, recognizer: Recognizer) -> str:
        return links.archive(recognizer.slug)

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
