"""SNAPSHOT → FINE-TUNE: what a night will do, before anything expensive is done: photos, classes, ways to try."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from collector.models import Photo, Recognizer
from training import checkpoints, groups, release, runs, snapshot, suspects, trust
from training.backbone import Backbone, find_backbone
from training.caps import Capped, capped
from training.models import Release, Run, ViewLimits
from training.recipe import (
    Recipe,
    from_scratch,
    from_starter,
    head_only,
    top_blocks,
    top_blocks_again,
    top_blocks_long,
    top_blocks_long_again,
)
from training.seen import Wanted
from training.trust import Distrusted
from training.weights import Start, Weights, load

ABOUT = "tonight's plan: photos, recipes, backbone, and where training begins"  # what Plan.digest names
ALL_WAYS = (
    from_scratch(), from_starter(), head_only(), top_blocks(), top_blocks_again(), top_blocks_long(), top_blocks_long_again(),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What a night will do. `recipes` are tried one after the other. They begin with the `weights` of an earlier night, or,
    where that is None, with the backbone's file."""

    entries: list[snapshot.Entry]
    classes: snapshot.Classes
    training: Capped[snapshot.Entry]  # of the entries to learn from, those that the caps leave
    recipes: list[Recipe]
    backbone: Backbone
    incumbent: Release | None
    weights: Weights | None
    known: dict[str, bool]  # photo id → did these weights not learn it, so that they could be judged by it?
    digest: str  # names the run's input, where training begins, and whom it is judged against: what checkpoints hold for
    distrusted: tuple[Distrusted, ...] = ()  # accounts that are not learned from; named by the digest

    @property
    def start(self) -> Start:
        """What tonight's training begins with."""
        return Start(self.backbone, self.weights)

    @property
    def cached(self) -> bool:
        """Whether the night learns from cached views."""
        return self.recipes[0].learns != "all"

    @property
    def trunk(self) -> str:
        """Names the part of the network in front of the boundary (weights.Fit.trunk)."""
        return self.weights.fit.trunk if self.weights else self.backbone.digest

    @property
    def left_out(self) -> str:
        """What the run says of accounts that it does not learn from; "" where there are none."""
        whose = {each.account for each in self.distrusted}
        return trust.sentence(self.distrusted, sum(groups.volunteer(each.group) in whose for each in self.of("test")))

    def of(self, split: str) -> list[Wanted]:
        """The photos of tonight's classes in this split, in the snapshot's order."""
        index = {slug: position for position, slug in enumerate(self.classes.labels)}
        rows = self.training.kept if split == Photo.Split.TRAIN else self.entries
        return [Wanted(e.photo, e.view, e.group, index[e.label]) for e in rows if e.split == split and e.label in index]


def make(run: Run) -> Plan:
    """The plan of a claimed run, recorded on its row. Raises what snapshot.take and snapshot.classes raise, MissingWeights,
    ForeignWeights, CorruptWeights."""
    frozen = _frozen(run)
    runs.write(run, snapshot=frozen)
    tonight, said = _read(run, frozen)
    # What an earlier attempt had found may be about other photos.
    found_before: dict[str, Any] = {"metrics": {}, "verdict": {}}
    runs.write(run, **said, **found_before)
    return tonight


def of(run: Run) -> Plan:
    """The plan of a run that another process has made one for; nothing is written. Raises what `make` raises."""
    assert run.snapshot is not None  # the plan begins with it
    return _read(run, run.snapshot)[0]


def _read(run: Run, frozen: snapshot.Snapshot) -> tuple[Plan, dict[str, Any]]:
    """(the plan, what the run's row says of it)."""
    entries = snapshot.read(frozen)
    classes = snapshot.classes(entries, list(run.recognizer.labels.all()))
    training = capped(
        [entry for entry in entries if entry.split == Photo.Split.TRAIN and entry.label in classes.labels],
        volunteer_percent=settings.VOLUNTEER_CAP_PERCENT,
        cluster_percent=settings.CLUSTER_CAP_PERCENT,
        floor=settings.CAP_FLOOR,
    )
    backbone = find_backbone(settings.BACKBONE_WEIGHTS, decision_s=settings.DOWNLOAD_DECISION_S)
    pointer = release.pointer(run.recognizer)
    incumbent = pointer.release if pointer else None
    off = _switched_off(run.recognizer)
    before, found = _begin(run, incumbent, backbone, classes.labels)
    recipes = [_limited(recipe, off) for recipe in ways(backbone, long=run.long, again=found is not None)]
    # The classes too: another MIN_PHOTOS_PER_LABEL is another model of the same photos. Not where it begins: that changes with
    # every release, and the same photos are still nothing new.
    every = [_limited(recipe, off).digest() for recipe in ALL_WAYS]
    facts = [frozen.digest, every, backbone.digest, classes.labels, sorted(entry.photo for entry in training.kept)]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    said = {"recipe": {"ways": [way.as_json() for way in recipes]}, "input_digest": digest, "started_from": before}
    basis = [checkpoints.FORMAT, digest, before.weights_sha256 if before else "", incumbent.pk if incumbent else None]
    named = hashlib.sha256(json.dumps(basis).encode()).hexdigest()
    known = _known(before, found) if before and found else {}
    return Plan(entries, classes, training, recipes, backbone, incumbent, found, known, named), said


def without(tonight: Plan, distrusted: Iterable[Distrusted]) -> Plan:
    """The same night, which does not learn from these accounts. Its digest is another one: nothing that was trained with their
    photos is taken for it, on this machine or on others."""
    found = tuple(sorted(distrusted, key=lambda each: each.account))
    if not found:
        return tonight
    named = json.dumps([tonight.digest, [each.account for each in found]])
    return replace(tonight, distrusted=found, digest=hashlib.sha256(named.encode()).hexdigest())


def ways(backbone: Backbone, *, long: bool, again: bool) -> list[Recipe]:
    """The recipes that a night tries. `again`: it begins with the weights of an earlier night."""
    if not backbone.knows_photos:
        return [from_starter() if backbone.weights else from_scratch()]
    if long:
        return [top_blocks_long_again() if again else top_blocks_long()]
    return [top_blocks_again()] if again else [head_only(), top_blocks()]


def is_repetition(run: Run) -> bool:
    """Whether the last night that ended learned from the same. A long night repeats a long one only.

    Where that left an account out and moderators have looked at what it doubted, the same photos may be learned from tonight.
    """
    ended = Run.objects.filter(recognizer=run.recognizer, state__in=(Run.State.RELEASED, Run.State.KEPT))
    if run.long:
        ended = ended.filter(long=True)
    last = ended.exclude(input_digest="").order_by("-finished_at").first()
    if last is None or last.input_digest != run.input_digest:
        return False
    return not (last.metrics.get("distrusted", {}).get("accounts") and suspects.looked_at_since(last))


def long_is_due(recognizer: Recognizer) -> bool:
    """Whether tonight is the long night: there is a model to begin with, and the last such night is a week ago."""
    ended = Run.objects.filter(recognizer=recognizer, state__in=(Run.State.RELEASED, Run.State.KEPT))
    if not ended.exclude(weights_sha256="").exists():
        return False
    since = timezone.now() - timedelta(days=settings.LONG_NIGHT_EVERY_DAYS)
    return not ended.filter(long=True, queued_at__gte=since).exists()


def _known(run: Run, found: Weights) -> dict[str, bool]:
    """Of the photos that the run had: was it judged by them, or did it learn them?"""
    had = snapshot.read(run.snapshot) if run.snapshot else []
    return {entry.photo: False for entry in had if entry.split != Photo.Split.TEST} | dict.fromkeys(found.judged, True)


def _frozen(run: Run) -> snapshot.Snapshot:
    """An attempt that goes on keeps its list of photos, unless one of them has left: then what was trained is worth nothing."""
    if run.snapshot is not None and not _has_lost(run.snapshot, _accepted(run.recognizer)):
        return run.snapshot
    return snapshot.take(recognizer=run.recognizer)


def _begin(run: Run, incumbent: Release | None, backbone: Backbone, labels: list[str]) -> tuple[Run | None, Weights | None]:
    """The run whose weights tonight begins with: the incumbent's, if they are of the same backbone and know the same labels.

    A long night forgets: where a photo that the incumbent learned from was withdrawn, it begins at the backbone's file again.
    """
    nothing = None, None
    if not backbone.knows_photos:
        return nothing  # all that is known was learned from photos: begun anew, nobody's withdrawn photo stays in it
    if incumbent is None or incumbent.state != Release.State.PUBLISHED or not incumbent.run.weights_sha256:
        return nothing
    if run.long and _learned_what_left(incumbent.run):
        return nothing
    found = load(incumbent.run.weights_sha256)
    return (incumbent.run, found) if found.fit.base == backbone.digest and found.fit.labels == labels else nothing


def _learned_what_left(run: Run) -> bool:
    """Whether the run, or one that it began with, learned from a photo that is no longer accepted."""
    line: Run | None = run
    accepted = _accepted(run.recognizer)
    while line is not None:
        if line.snapshot and _has_lost(line.snapshot, accepted):
            return True
        line = line.started_from
    return False


def _accepted(recognizer: Recognizer) -> set[str]:
    """The ids of its accepted photos."""
    photos = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED)
    return {str(key) for key in photos.values_list("pk", flat=True)}


def _has_lost(frozen: snapshot.Snapshot, accepted: set[str]) -> bool:
    """Whether a photo of the list is no longer among those that are accepted."""
    return any(entry.photo not in accepted for entry in snapshot.read(frozen))


def _switched_off(recognizer: Recognizer) -> dict[str, bool]:
    limits = ViewLimits.objects.filter(recognizer=recognizer).first()
    return limits.off() if limits else {}


def _limited(recipe: Recipe, off: dict[str, bool]) -> Recipe:
    return replace(recipe, augmentation=recipe.augmentation.without(off)) if any(off.values()) else recipe
