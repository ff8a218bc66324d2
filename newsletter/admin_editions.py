"""EDITION → INBOX, in the admin: the list of editions, their schedules, and the log of who did what."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline

from collector.admin import ReadOnly
from config.errors import Problem
from newsletter import desk
from newsletter.delivery import progress
from newsletter.edition import freeze
from newsletter.models import Edition, EditionChange, Schedule, Slot
from newsletter.tasks import deliver


@admin.register(Edition)
class EditionAdmin(ModelAdmin):
    """Editions are composed by their schedule or by `manage.py edition`; each has its desk (newsletter.desk)."""

    list_display = ["name", "recognizer", "kind", "day", "title", "state", "held_by", "deliveries_now"]
    list_display_links = ["name", "title"]
    list_filter = ["recognizer", "kind", "state"]
    list_select_related = ["recognizer"]
    date_hierarchy = "day"
    actions = ["freeze_and_send"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Deleting in bulk passes no object: only a single draft can be deleted, on its own page.
        return obj is not None and obj.state == Edition.State.DRAFT and super().has_delete_permission(request, obj)

    def get_urls(self) -> list[URLPattern]:
        preview, tell = self.admin_site.admin_view(desk.preview), self.admin_site.admin_view(desk.tell)
        return [
            path("<int:edition_id>/preview/", preview, name="newsletter_edition_preview"),
            path("<int:edition_id>/standing/", tell, name="newsletter_edition_standing"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return desk.page(request, self.admin_site.each_context(request), int(object_id))

    @admin.display(description="number", ordering="number")
    def name(self, edition: Edition) -> str:
        return f"#{edition.number}" if edition.number else "–"

    @admin.display(description="deliveries")
    def deliveries_now(self, edition: Edition) -> str:
        return ", ".join(f"{count} {state}" for state, count in progress(edition=edition).items() if count) or "none"

    @admin.action(description="Freeze and send", permissions=["change"])
    def freeze_and_send(self, request: HttpRequest, queryset: QuerySet[Edition]) -> None:
        for edition in queryset.select_related("recognizer"):
            try:
                count = freeze(edition=edition, by=request.user.get_username())
            except Problem as problem:
                self.message_user(request, f"{edition}: {problem.title} {problem.detail}", messages.ERROR)
                continue
            deliver.ring(edition.pk)
            self.message_user(request, f"{edition} is frozen and goes to {count} subscribers.", messages.SUCCESS)


@admin.register(EditionChange)
class EditionChangeAdmin(ReadOnly, ModelAdmin):
    """Who did what to which edition, and when."""

    list_display = ["made_at", "edition", "verb", "by", "what"]
    list_filter = ["edition__recognizer", "verb"]
    list_select_related = ["edition__recognizer"]
    fields = list_display
    readonly_fields = fields


class SlotInline(ReadOnly, TabularInline):
    """What became of the newest hours."""

    model = Slot
    extra = 0
    fields = ["day", "kind", "due_at", "state", "why", "desk"]
    readonly_fields = fields
    verbose_name_plural = "hours"
    max_shown = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[Slot]:
        every = super().get_queryset(request).select_related("edition__recognizer")
        newest = every.order_by("-due_at").values("pk")
        schedule = (request.resolver_match.kwargs if request.resolver_match else {}).get("object_id")
        return every.filter(pk__in=list(newest.filter(schedule=schedule).values_list("pk", flat=True)[: self.max_shown]))

    @admin.display(description="edition")
    def desk(self, slot: Slot) -> str:
        if slot.edition is None:
            return "none" if slot.state in (Slot.State.WAITING, Slot.State.MISSED) else "its draft was deleted"
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:newsletter_edition_change", args=[slot.edition.pk]), slot.edition
        )


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """At which hours editions are due. A change of hours holds from now on: hours that were composed for stay as they are."""

    list_display = ["recognizer", "time_zone", "daily_hour", "weekly_weekday", "weekly_hour", "reminder_hour", "goes_by_itself"]
    list_select_related = ["recognizer"]
    inlines = [SlotInline]

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        if {"daily_hour", "weekly_hour", "weekly_weekday", "reminder_hour", "time_zone"} & set(form.changed_data):
            obj.since = timezone.now()
        super().save_model(request, obj, form, change)
