"""EVALUATE → people, on screen: the files that a run left, for staff alone, with headers that leave a browser little to do."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from collector.storage import MissingObject, store
from training.leave import KIND
from training.models import Run, RunFile, Snapshot
from training.snapshot import KIND as SNAPSHOTS

SVG = "image/svg+xml"
# An SVG may hold scripts and fetch things; its own styles are all that it gets.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def run_file(request: HttpRequest, run_id: int, name: str) -> HttpResponse:
    """One file of a run: a picture is shown, everything else is downloaded. Raises Http404, PermissionDenied."""
    if not request.user.has_perm("training.view_run"):
        raise PermissionDenied
    row = get_object_or_404(RunFile, run=run_id, name=name)
    return stored(f"{KIND}/{row.sha256}", row.name, row.content_type)


def snapshot_file(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """The frozen list as it lies in the store, under the name that croissant.json looks for."""
    if not request.user.has_perm("training.view_snapshot"):
        raise PermissionDenied
    row = get_object_or_404(Snapshot, pk=snapshot_id)
    return stored(f"{SNAPSHOTS}/{row.digest}", "snapshot.jsonl", "application/jsonlines")


def stored(key: str, name: str, content_type: str) -> HttpResponse:
    """An object of the store under a name for people. Raises Http404."""
    try:
        data = store().get(key)
    except MissingObject:
        raise Http404(f"The store does not have {name}.") from None
    return sent(data, name, content_type)


def sent(data: bytes, name: str, content_type: str) -> HttpResponse:
    """Bytes under a name for people; `name` holds nothing that a header would have to escape."""
    answer = HttpResponse(data, content_type=content_type)
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = POLICY
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    answer["Cache-Control"] = "private, no-cache"  # another attempt of a night may replace it
    answer["Content-Disposition"] = f'{"inline" if content_type == SVG else "attachment"}; filename="{name}"'
    return answer


def picture(run: Run, name: str, words: str) -> SafeString:
    """The picture `name` of a run with `words` for those who do not see it; says so where there is none.

    It keeps its size, so that 81 labels stay readable: where it is wider than the page, its frame scrolls, by keyboard too.
    """
    if all(row.name != name for row in run.files.all()):
        return format_html("<p>{}</p>", "There is no picture of it.")
    return format_html(
        '<div class="picture" tabindex="0" role="region" aria-label="{}"><img src="{}" alt="{}" loading="lazy"></div>',
        name.removesuffix(".svg").replace("-", " ").capitalize(),
        address(run, name),
        words,
    )


def links(run: Run) -> SafeString:
    """A list of all files to download."""
    rows = [(address(run, row.name), row.name, f"{row.bytes:,} bytes", row.sha256) for row in run.files.all()]
    if not rows:
        return format_html("<p>{}</p>", "It left no files.")
    items = format_html_join("", '<li><a href="{}" download>{}</a>, {}, SHA-256 <code>{}</code></li>', rows)
    return format_html('<ul class="files">{}</ul>', items)


def address(run: Run, name: str) -> str:
    return reverse("admin:training_run_file", args=[run.pk, name])
