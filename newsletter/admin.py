"""INBOX, on screen: readers and what became of each mail; editions are in `admin_editions`."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from collector.admin import ReadOnly
from newsletter import admin_editions  # noqa: F401  importing it registers them
from newsletter.models import Delivery, Subscriber


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
