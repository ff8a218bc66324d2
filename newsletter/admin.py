"""EDITION → INBOX, on screen: an editor changes a draft, looks at the mail, and has it frozen and sent."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline

from collector.admin import ReadOnly
from config.errors import Problem
from newsletter import admin_fame, mail  # noqa: F401  importing the former registers it
from newsletter.delivery import progress
from newsletter.edition import freeze
from newsletter.models import Delivery, Edition, EditionEntry, Subscriber
from newsletter.tasks import deliver


def _is_draft(edition: Edition | None) -> bool:
    return edition is None or edition.state == Edition.State.DRAFT


class EntryInline(TabularInline):
    """The photos and their words. Which photos, and in which order, is the ranking's; an editor may leave one out."""

    model = EditionEntry
    extra = 0
    fields = ["position", "picture", "caption", "alt", "credit", "mended", "scores"]
    readonly_fields = ["position", "picture", "scores"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj) and super().has_delete_permission(request, obj)

    @admin.display(description="photo")
    def picture(self, entry: EditionEntry) -> str:
        address = reverse("admin:collector_photo_bytes", args=[entry.photo_id, "thumbnail"])
        return format_html('<img src="{}" alt="{}" height="96" loading="lazy">', address, entry.alt)


@admin.register(Edition)
class EditionAdmin(ModelAdmin):
    """Editions are composed by `manage.py edition`; here a draft is edited, looked at, frozen and sent."""

    list_display = ["number", "recognizer", "day", "title", "state", "deliveries_now", "look"]
    list_display_links = ["number", "title"]
    list_filter = ["recognizer", "state"]
    list_select_related = ["recognizer"]
    date_hierarchy = "day"
    inlines = [EntryInline]
    actions = ["freeze_and_send"]
    fields = ["recognizer", "number", "day", "state", "title", "introduction", "deliveries_now", "look", "content"]
    readonly_fields = ["recognizer", "number", "day", "state", "deliveries_now", "look", "content"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting in bulk passes no object: only a single draft can be deleted, on its own page.
        return obj is not None and _is_draft(obj) and super().has_delete_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<int:edition_id>/preview/", self.admin_site.admin_view(self.preview), name="newsletter_edition_preview"),
        ]
        return own + super().get_urls()

    def preview(self, request: HttpRequest, edition_id: int) -> HttpResponse:
        """The mail as its readers will see it."""
        edition = get_object_or_404(Edition.objects.select_related("recognizer"), pk=edition_id)
        return HttpResponse(mail.preview(edition=edition))

    @admin.display(description="mail")
    def look(self, edition: Edition) -> str:
        return format_html('<a href="{}">Preview</a>', reverse("admin:newsletter_edition_preview", args=[edition.pk]))

    @admin.display(description="deliveries")
    def deliveries_now(self, edition: Edition) -> str:
        return ", ".join(f"{count} {state}" for state, count in progress(edition=edition).items() if count) or "none"

    @admin.action(description="Freeze and send", permissions=["change"])
    def freeze_and_send(self, request: HttpRequest, queryset: QuerySet[Edition]) -> None:
        for edition in queryset.select_related("recognizer"):
            try:
                count = freeze(edition=edition)
            except Problem as problem:
                self.message_user(request, f"{edition}: {problem.title} {problem.detail}", messages.ERROR)
                continue
            deliver.ring(edition.pk)
            self.message_user(request, f"{edition} is frozen and goes to {count} subscribers.", messages.SUCCESS)


@admin.register(Subscriber)
class SubscriberAdmin(ModelAdmin):
    """State is the reader's own doing; an editor may only suppress an address that bounces or complained."""

    list_display = ["email", "recognizer", "state", "asked_at", "confirmed_at", "left_at"]
    list_filter = ["recognizer", "state"]
    search_fields = ["email"]
    fields = list_display
    readonly_fields = fields
    actions = ["suppress"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # nobody is subscribed but by double opt-in

    @admin.action(description="Suppress: never mail these addresses again", permissions=["change"])
    def suppress(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        count = queryset.update(state=Subscriber.State.SUPPRESSED, confirmation_due=None)
        self.message_user(request, f"{count} suppressed.", messages.SUCCESS)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    """Read-only: an `unknown` that were queued again could be a second mail to somebody."""

    list_display = ["subscriber", "edition", "state", "attempts", "not_before", "ended_at", "answer"]
    list_filter = ["state", "edition"]
    list_select_related = ["subscriber", "edition", "edition__recognizer"]
    search_fields = ["subscriber__email", "id"]
