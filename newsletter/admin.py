"""INBOX, on screen: readers and what became of each mail; editions are in `admin_editions`."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from collector.admin import ReadOnly
from newsletter import admin_editions, admin_fame, admin_ranking, admin_readers  # noqa: F401  importing them registers them
from newsletter.models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ModelAdmin):
    """Read-only: an `unknown` that were queued again could be a second mail to somebody."""

    list_display = ["subscriber__email", "edition", "state", "attempts", "not_before", "ended_at", "answer"]
    list_filter = ["state", "edition"]
    list_select_related = ["subscriber", "edition", "edition__recognizer"]
    search_fields = ["subscriber__email", "id"]
