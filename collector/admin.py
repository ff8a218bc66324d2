"""MODERATION, on screen: the review queue, and the rows behind it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin, TabularInline

from collector import import_calls, import_page, invitations, review
from collector.erasure import described
from collector.models import Challenge, Decision, Erasure, Invitation, Label, Photo, Recognizer, Volunteer


class ReadOnly:
    """Rows that verbs write; the admin shows them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LabelInline(TabularInline):
    model = Label
    extra = 1
    fields = ["position", "slug", "name"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a label's position is an output of every model that was ever released


@admin.register(Recognizer)
class RecognizerAdmin(ModelAdmin):
    list_display = ["name", "slug", "active", "invited_only", "auto_accept", "review_link"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [LabelInline]

    @admin.display(description="queue")
    def review_link(self, recognizer: Recognizer) -> str:
        address = f"{reverse('admin:collector_photo_review')}?recognizer={recognizer.slug}"
        return format_html('<a href="{}">Review photos</a>', address)


@admin.register(Invitation)
class InvitationAdmin(ModelAdmin):
    """The code is made when the row is, and shown once, on the page that follows."""

    list_display = ["__str__", "recognizer", "uses_left", "expires_at", "created_at"]
    list_filter = ["recognizer"]
    readonly_fields = ["created_at"]

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        code = "" if change else invitations.new_code()
        if code:
            obj.code_hash = invitations.hash_code(code)
        super().save_model(request, obj, form, change)
        if code:
            messages.warning(request, f"The invitation code is {code}. Copy it now: it is kept nowhere.")


class ChallengeForm(forms.ModelForm):
    def clean(self) -> None:
        super().clean()
        recognizer = self.cleaned_data.get("recognizer")
        strange = [label.name for label in self.cleaned_data.get("labels", ()) if label.recognizer != recognizer]
        if recognizer and strange:
            self.add_error("labels", f"Not of {recognizer.name}: {', '.join(strange)}. Choose labels of {recognizer.name}.")


@admin.register(Challenge)
class ChallengeAdmin(ModelAdmin):
    """What is set or changed here stands: neither a night nor the calendar overwrites a day that has a challenge."""

    form = ChallengeForm
    list_display = ["day", "recognizer", "prompt", "proposed_because"]
    list_filter = ["recognizer"]
    filter_horizontal = ["labels"]
    date_hierarchy = "day"


class DecisionInline(ReadOnly, TabularInline):
    model = Decision
    extra = 0
    fields = ["decided_at", "moderator", "verdict", "label", "reason"]
    readonly_fields = fields


@admin.register(Photo)
class PhotoAdmin(ReadOnly, ModelAdmin):
    """Read-only: what may change about a photo changes through a decision in the review queue."""

    list_display = ["picture", "claimed", "label", "state", "split", "volunteer", "received_at"]
    list_filter = ["recognizer", "state", "split", "source"]
    list_select_related = ["claimed", "label", "volunteer", "recognizer"]
    search_fields = ["id", "volunteer__handle"]
    list_per_page = 50
    inlines = [DecisionInline]
    list_before_template = "collector/photo_list_before.html"

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("review/", self.admin_site.admin_view(self.review), name="collector_photo_review"),
            *self.import_urls(),
            path("<uuid:photo_id>/picture/<str:kind>/", self.admin_site.admin_view(self.bytes), name="collector_photo_bytes"),
        ]
        return own + super().get_urls()

    def import_urls(self) -> list[URLPattern]:
        wrap, at = self.admin_site.admin_view, "import/<uuid:job_id>/"
        form: Any = wrap(self.import_photos)
        form.reads_its_own_body = import_page.may_import  # a zip without a script; see config.bodies
        return [
            path("import/", form, name="collector_photo_import"),
            path("import/begin/", import_calls.Begin.as_view(), name="collector_import_begin"),
            path(at, wrap(self.import_job), name="collector_import_job"),
            path(f"{at}refused.csv", wrap(import_page.refused_list), name="collector_import_refused"),
            path(f"{at}file/", import_calls.File.as_view(), name="collector_import_file"),
            path(f"{at}piece/<int:number>/", import_calls.Piece.as_view(), name="collector_import_piece"),
            path(f"{at}end/", import_calls.End.as_view(), name="collector_import_end"),
            path(f"{at}state/", import_calls.State.as_view(), name="collector_import_state"),
        ]

    def import_photos(self, request: HttpRequest) -> HttpResponse:
        return import_page.page(request, self.admin_site.each_context(request))

    def import_job(self, request: HttpRequest, job_id: Any) -> HttpResponse:
        return import_page.job_page(request, self.admin_site.each_context(request), job_id)

    def review(self, request: HttpRequest) -> HttpResponse:
        return review.page(request, self.admin_site.each_context(request))

    def bytes(self, request: HttpRequest, photo_id: Any, kind: str) -> HttpResponse:
        return review.picture_of(request, photo_id, kind)

    @admin.display(description="photo")
    def picture(self, photo: Photo) -> str:
        if not photo.thumbnail_sha256:
            return "–"
        address = reverse("admin:collector_photo_bytes", args=[photo.pk, "thumbnail"])
        return format_html('<img src="{}" alt="{}" height="64" loading="lazy">', address, photo.alt)


@admin.register(Volunteer)
class VolunteerAdmin(ReadOnly, ModelAdmin):
    list_display = ["name", "created_at", "consent_version", "erased_at"]
    search_fields = ["handle", "id"]
    exclude = ["token_hash"]


@admin.register(Erasure)
class ErasureAdmin(ReadOnly, ModelAdmin):
    list_display = ["requested_at", "photos", "as_of_now"]

    @admin.display(description="what learned from them")
    def as_of_now(self, erasure: Erasure) -> str:
        answer = described(erasure)
        names = ", ".join(release["name"] for release in answer["releases"]) or "no release"
        free = answer["model_free_at"]
        return f"{names}; {f'none is offered since {free:%Y-%m-%d %H:%M}' if free else 'still offered or being learned'}"
