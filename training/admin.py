"""Nights and releases, on screen: what a run did and why, what phones get, and the verbs that change it."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from collector.admin import ReadOnly
from config.errors import Problem
from training import left, pictures, release, rollout, rollout_page, workshop_page
from training.models import Artifact, Benchmark, Channel, Move, Release, Run, Snapshot, ViewLimits, Workshop


def table(caption: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> SafeString:
    """A data table that a screen reader can walk: caption, column heads, and the first cell of a row as its head."""
    if not rows:
        return format_html("<p>{}: none yet.</p>", caption)
    head = format_html_join("", '<th scope="col">{}</th>', ((text,) for text in heads))
    body = format_html_join(
        "",
        '<tr><th scope="row">{}</th>{}</tr>',
        ((row[0], format_html_join("", "<td>{}</td>", ((cell,) for cell in row[1:]))) for row in rows),
    )
    return format_html(
        '<table class="data"><caption>{}</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', caption, head, body
    )


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly, ModelAdmin):
    list_display = ["digest", "recognizer", "photos", "taken_at"]
    list_filter = ["recognizer"]
    fields = ["recognizer", "digest", "photos", "taken_at", "list_link", "count_table"]
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.list_itself)
        return [path("<int:snapshot_id>/snapshot.jsonl", view, name="training_snapshot_file"), *super().get_urls()]

    def list_itself(self, request: HttpRequest, snapshot_id: int) -> HttpResponse:
        return left.snapshot_file(request, snapshot_id)

    @admin.display(description="the list")
    def list_link(self, snapshot: Snapshot) -> str:
        address = reverse("admin:training_snapshot_file", args=[snapshot.pk])
        return format_html('<a href="{}" download>snapshot.jsonl</a>', address)

    @admin.display(description="photos per label")
    def count_table(self, snapshot: Snapshot) -> str:
        labels = sorted({label for counts in snapshot.counts.values() for label in counts})
        rows = [(label, *(counts.get(label, 0) for counts in snapshot.counts.values())) for label in labels]
        return table("Photos per label and split", ("label", *snapshot.counts), rows)


class ArtifactInline(ReadOnly, TabularInline):
    model = Artifact
    extra = 0
    fields = ["format", "bytes", "sha256"]
    readonly_fields = fields


@admin.register(Run)
class RunAdmin(ReadOnly, ModelAdmin):
    list_display = ["slot", "recognizer", "state", "stage", "accuracy", "message", "finished_at"]
    list_filter = ["recognizer", "state"]
    list_select_related = ["recognizer"]
    inlines = [ArtifactInline]
    fields = [
        *["recognizer", "slot", "long", "state", "stage", "message", "reasons", "verdict_table", "summary_table", "curves"],
        *["confusion"],
        *["label_table", "seconds_table", "file_list"],
        *["snapshot", "recipe", "fence", "lease_until", "queued_at", "started_at", "finished_at"],
    ]
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.file)
        return [path("<int:run_id>/files/<str:name>", view, name="training_run_file"), *super().get_urls()]

    def file(self, request: HttpRequest, run_id: int, name: str) -> HttpResponse:
        return left.run_file(request, run_id, name)

    @admin.display(description="learning curves")
    def curves(self, run: Run) -> str:
        history = run.metrics.get("history") or {}
        shown = left.picture(run, "learning-curves.svg", pictures.curves_in_words(history))
        rows = pictures.curves_as_rows(history)
        return shown + table("Learning curves", ("series", "first epoch", "last epoch", "epochs"), [*rows])

    @admin.display(description="confusions")
    def confusion(self, run: Run) -> str:
        int8 = run.metrics.get("int8")
        if not int8:
            return "–"
        shown = left.picture(run, "confusion.svg", pictures.confusion_in_words(int8))
        rows = [(pair["truth"], pair["predicted"], pair["n"]) for pair in int8.get("confusions", [])]
        return shown + table("Most frequent confusions of the int8 file", ("shows", "taken for", "photos"), rows)

    @admin.display(description="which way, and why")
    def reasons(self, run: Run) -> str:
        rows = format_html_join("", "<li>{}</li>", ((reason,) for reason in run.metrics.get("reasons", [])))
        return format_html("<ul>{}</ul>", rows) if rows else "–"

    @admin.display(description="files")
    def file_list(self, run: Run) -> str:
        return left.links(run)

    @admin.display(description="int8 accuracy")
    def accuracy(self, run: Run) -> str:
        return percent((run.metrics.get("int8") or {}).get("accuracy"))

    @admin.display(description="verdict")
    def verdict_table(self, run: Run) -> str:
        rows = [
            (check["name"], "passed" if check["passed"] else "refused", check["value"], check["limit"], check["sentence"])
            for check in run.verdict.get("checks", [])
        ]
        return table("The gate's checks", ("check", "verdict", "measured", "limit", "what it means"), rows)

    @admin.display(description="models")
    def summary_table(self, run: Run) -> str:
        reports = [(name, run.metrics[name]) for name in ("float", "int8", "incumbent") if run.metrics.get(name)]
        rows = [
            (name, percent(report["accuracy"]), " – ".join(percent(end) for end in report["interval"]), report["n"])
            for name, report in reports
        ]
        return table("On the held-out photos", ("model", "accuracy", "95 % interval", "photos"), rows)

    @admin.display(description="labels")
    def label_table(self, run: Run) -> str:
        int8, incumbent = run.metrics.get("int8") or {}, run.metrics.get("incumbent") or {}
        before = incumbent.get("per_label", {})
        rows = [
            (label, percent(line["recall"]), percent(before.get(label, {}).get("recall")), line["n"])
            for label, line in int8.get("per_label", {}).items()
        ]
        rows.sort(key=lambda row: (int8["per_label"][row[0]]["recall"] or 0, row[0]))
        return table("Recall per label, weakest first", ("label", "int8", "incumbent", "photos"), rows)

    @admin.display(description="time")
    def seconds_table(self, run: Run) -> str:
        seconds = run.metrics.get("seconds", {})  # PostgreSQL keeps no order of keys: the longest stage first
        rows = sorted(seconds.items(), key=lambda item: -item[1])
        return table("Seconds per stage, longest first", ("stage", "seconds"), rows)


@admin.register(Workshop)
class WorkshopAdmin(ModelAdmin):
    """One page a recognizer: photos, what to collect next, "Train now", the model's files. A new one begins with its photos."""

    list_display = ["name", "slug", "active"]
    search_fields = ["name", "slug"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a recognizer with its photos and releases is not thrown away from here

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("collector.add_photo")

    def get_urls(self) -> list[URLPattern]:
        wrap, at = self.admin_site.admin_view, "<int:recognizer_id>/"
        own = [
            path(f"{at}state/", wrap(workshop_page.state), name="training_workshop_state"),
            path(f"{at}files/<str:name>", wrap(workshop_page.file), name="training_workshop_file"),
        ]
        return own + super().get_urls()

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:collector_photo_import") + "?recognizer=")

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not object_id.isdecimal():
            raise Http404
        return workshop_page.page(request, self.admin_site.each_context(request), int(object_id))


@admin.register(ViewLimits)
class ViewLimitsAdmin(ModelAdmin):
    list_display = ["recognizer", "crops", "turns", "mirror", "exposure", "blur"]
    list_select_related = ["recognizer"]


@admin.register(Release)
class ReleaseAdmin(ReadOnly, ModelAdmin):
    list_display = ["__str__", "state", "run", "rolls_back_to", "published_at"]
    list_filter = ["recognizer", "state"]
    list_select_related = ["recognizer", "run__recognizer", "rolls_back_to__recognizer"]
    actions = ["withdraw"]

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("training.change_release")

    @admin.action(description="Withdraw: never offer it again, roll back where it is offered", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Release]) -> None:
        for row in queryset.select_related("recognizer"):
            replacement = release.withdraw(release=row, by=request.user.get_username())
            after = f"phones now get {replacement}" if replacement else "no channel was moved"
            self.message_user(request, f"{row} is withdrawn; {after}.", messages.SUCCESS)


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):
    """The rollout, its pause and whether it goes on by itself are edited, through the verbs; where a channel points is moved by
    publishing, halting and rolling back."""

    list_display = ["__str__", "rollout", "previous", "arm", "automatic", "paused", "changed_at", "watched"]
    list_select_related = ["recognizer", "release__recognizer", "previous__recognizer", "arm__recognizer"]
    fields = [
        *["recognizer", "name", "release", "previous", "arm", "arm_percent", "rollout", "automatic", "paused"],
        *["changed_at", "watched", "move_table"],
    ]
    readonly_fields = [name for name in fields if name not in ("rollout", "automatic", "paused")]
    actions = ["halt", "roll_back", "pause", "resume"]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.reports)
        return [path("<int:channel_id>/reports", view, name="training_channel_reports"), *super().get_urls()]

    def reports(self, request: HttpRequest, channel_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return rollout_page.page(request, channel_id, self.admin_site.each_context(request))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Channel, form: "ModelForm[Channel]", change: bool) -> None:
        where = {**_where(obj), "by": request.user.get_username()}
        for field in rollout.SWITCHES:
            rollout.switch(field=field, on=getattr(obj, field), **where)
        release.ramp(percent=obj.rollout, **where)

    @admin.display(description="reports")
    def watched(self, channel: Channel) -> str:
        address = reverse("admin:training_channel_reports", args=[channel.pk])
        return format_html('<a href="{}">Reports on {}/{}</a>', address, channel.recognizer.slug, channel.name)

    @admin.display(description="last moves")
    def move_table(self, channel: Channel) -> str:
        rows = [(f"{m.made_at:%Y-%m-%d %H:%M}", m.verb, m.by, m.change(), m.why) for m in channel.moves.all()[:20]]
        return table("Last moves", ("when", "what", "who", "from → to", "why"), rows)

    @admin.action(description="Halt: take back the arm, or the release of the ramp", permissions=["change"])
    def halt(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._each(request, queryset, lambda row, by: f"now offers {rollout.halt(by=by, **_where(row))}")

    @admin.action(description="Roll back to the release before", permissions=["change"])
    def roll_back(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        def back(row: Channel, by: str) -> str:
            made = release.rollback(by=by, **_where(row))
            return f"now offers {made}: the files of {made.rolls_back_to}"

        self._each(request, queryset, back)

    @admin.action(description="Pause: the ramp does not go on by itself", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Resume: the ramp goes on by itself", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        self._switch(request, queryset, on=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Channel], *, on: bool) -> None:
        def switched(row: Channel, by: str) -> str:
            rollout.switch(field="paused", on=on, by=by, **_where(row))
            return "is paused" if on else "goes on"

        self._each(request, queryset, switched)

    def _each(self, request: HttpRequest, queryset: QuerySet[Channel], move: Callable[[Channel, str], str]) -> None:
        for row in queryset.select_related("recognizer"):
            try:
                self.message_user(request, f"{row.name} {move(row, request.user.get_username())}.", messages.SUCCESS)
            except Problem as problem:
                self.message_user(request, problem.detail, messages.ERROR)


def _where(row: Channel) -> dict[str, Any]:
    return {"recognizer": row.recognizer, "channel": row.name}


@admin.register(Move)
class MoveAdmin(ReadOnly, ModelAdmin):
    """Who moved which channel, when, from where to where, and why."""

    list_display = ["made_at", "channel", "verb", "by", "change", "why"]
    list_filter = ["channel__recognizer", "verb"]
    list_select_related = ["channel__recognizer", "channel__release"]
    fields = ["channel", "made_at", "by", "verb", "change", "why", "before", "after"]
    readonly_fields = fields


@admin.register(Benchmark)
class BenchmarkAdmin(ReadOnly, ModelAdmin):
    list_display = [
        *["recognizer", "version", "device_model", "latency_ms", "cold_start_ms", "memory_mb", "canary_accuracy"],
        *["answers", "corrections", "frames", "frame_changes", "reported_at"],
    ]
    list_filter = ["recognizer", "version"]
    list_select_related = ["recognizer"]
