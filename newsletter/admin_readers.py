"""INBOX, on screen: who reads, which addresses are not written to, and what servers said of them."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from unfold.admin import ModelAdmin

from collector.admin import ReadOnly
from newsletter import forgetting, reader_files, suppression
from newsletter.models import MailEvent, Subscriber, Suppression


@admin.register(Subscriber)
class SubscriberAdmin(ModelAdmin):
    """State is the reader's own doing; an editor may only suppress an address, or erase it on its owner's word."""

    list_display = ["email", "recognizer", "state", "wants_daily", "wants_weekly", "wants_reminder", "asked_at", "confirmed_at"]
    list_filter = ["recognizer", "state", "wants_daily", "wants_weekly", "wants_reminder"]
    list_select_related = ["recognizer"]
    search_fields = ["email"]
    fields = [*list_display, "left_at", "consent"]
    readonly_fields = fields
    actions = ["suppress", "erase", "export"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # nobody is subscribed but by double opt-in

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # erasing does more: what names the address elsewhere goes too

    @admin.action(description="Suppress: never mail these addresses again", permissions=["change"])
    def suppress(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        emails = _emails(queryset)
        for email in emails:
            suppression.suppress(email=email, reason=Suppression.Reason.OPERATOR)
        self.message_user(request, f"{len(emails)} suppressed.", messages.SUCCESS)

    @admin.action(description="Erase these addresses from all newsletters, on their owners' word", permissions=["change"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> None:
        emails = _emails(queryset)
        for email in emails:
            forgetting.erase(email=email)
        self.message_user(request, f"{len(emails)} erased. Imports do not bring them back.", messages.SUCCESS)

    # "change" and not "view": a file of all addresses is more than a look at a page of them.
    @admin.action(description="Export as CSV", permissions=["change"])
    def export(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> StreamingHttpResponse:
        headers = {"Content-Disposition": 'attachment; filename="readers.csv"', "Cache-Control": "private, no-store"}
        lines = reader_files.lines_of(queryset)
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _emails(queryset: QuerySet[Subscriber]) -> list[str]:
    return sorted(set(queryset.values_list("email", flat=True)))


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly, ModelAdmin):
    """Addresses stand here as hashes; `manage.py subscribers lift ADDRESS` ends one."""

    list_display = ["digest", "reason", "since"]
    list_filter = ["reason"]


@admin.register(MailEvent)
class MailEventAdmin(ReadOnly, ModelAdmin):
    """Whether a provider's webhook works, and what it says."""

    list_display = ["provider", "kind", "happened_at", "noted_at"]
    list_filter = ["provider", "kind"]
