"""RANKING, on screen: which pairs voters are tried by, where photos stand and why, which accounts look like a ring."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from collector.admin import ReadOnly
from newsletter.models import KnownPair, PhotoScore, Ranking


def _picture(photo_id: Any, words: str) -> SafeString:
    address = reverse("admin:collector_photo_bytes", args=[photo_id, "thumbnail"])
    return format_html('<img src="{}" alt="{}" height="96" loading="lazy">', address, words)


@admin.register(KnownPair)
class KnownPairAdmin(ModelAdmin):
    """Two photos of which everybody who looks knows the better one. Ballots hide them among other pairs; who answers them
    otherwise is weighed less. Rankings add pairs that voters agreed on clearly; moderators may add and remove any."""

    list_display = ["recognizer", "better_picture", "worse_picture", "source", "settled_at"]
    list_filter = ["recognizer", "source"]
    list_select_related = ["recognizer"]
    fields = ["recognizer", "better", "worse"]
    raw_id_fields = ["better", "worse"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)  # answers were given to the pair as it is

    @admin.display(description="better")
    def better_picture(self, pair: KnownPair) -> SafeString:
        return _picture(pair.better_id, "the better one")

    @admin.display(description="worse")
    def worse_picture(self, pair: KnownPair) -> SafeString:
        return _picture(pair.worse_id, "the worse one")


@admin.register(PhotoScore)
class PhotoScoreAdmin(ReadOnly, ModelAdmin):
    """Read-only: a ranking is made of votes, and can be explained by its parts."""

    list_display = ["picture", "place", "of", "parts", "ranked_at", "provisional_until"]
    list_filter = ["photo__recognizer"]
    list_select_related = ["photo"]
    ordering = ["-ranked_at", "place"]

    @admin.display(description="photo")
    def picture(self, score: PhotoScore) -> SafeString:
        return _picture(score.photo_id, f"number {score.place}")


@admin.register(Ranking)
class RankingAdmin(ReadOnly, ModelAdmin):
    """When photos were ranked last, and the accounts whose votes count for nothing because they favour each other."""

    list_display = ["recognizer", "ranked_at", "photos", "voters", "rings_found"]
    list_select_related = ["recognizer"]
    fields = ["recognizer", "ranked_at", "photos", "voters", "accounts"]
    readonly_fields = fields

    @admin.display(description="rings")
    def rings_found(self, ranking: Ranking) -> str:
        return ", ".join(f"{len(ring)} accounts" for ring in ranking.rings) or "none"

    @admin.display(description="rings")
    def accounts(self, ranking: Ranking) -> SafeString | str:
        links = [
            format_html_join(
                ", ",
                '<a href="{}">{}</a>',
                ((reverse("admin:collector_volunteer_change", args=[one]), one[:8]) for one in ring),
            )
            for ring in ranking.rings
        ]
        return format_html_join("", "<p>{}</p>", ((link,) for link in links)) or "none"
