"""EVALUATE, of the labels: which accepted photos does the model doubt? They get another look by a moderator.

Confident learning (Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 2021), as
the library cleanlab does it, on predictions of a model that has not seen the photo, nor any of its group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from collector.models import Decision, Photo, Recognizer
from training import regression, runs, trust
from training.groups import linked
from training.models import Run, Suspect

FOLDS = 5  # each photo is judged by a model of about 80 % of the others
# Of cleanlab's: in each label as many as the confident joint counts as wrong, the least confident first. Of flipped labels of
# real photos it found 84 % where "both" found 77 and "confident_learning" 73, all at a precision over 75 %.
RULE = "prune_by_class"
# Quantile, over the photos that are not suspects, of the probability of their own label: a suspect that is at least as probably
# something else shows that clearly. So do 62 to 78 % of the photos of one who labels everything wrongly.
SURE = 0.25


@dataclass(frozen=True)
class Suspicion:
    """Photo `index` probably shows label `suggested`; `confidence` 0…1 is the out-of-fold probability of its own label.
    `clear`: it is not just hard to recognise, the model is as sure of the suggestion as it is of most other photos' labels."""

    index: int
    suggested: int
    confidence: float
    clear: bool = False


def find(
    *, features: np.ndarray, truth: np.ndarray, groups: Sequence[str], labels: int, seed: int, folds: int = FOLDS
) -> list[Suspicion]:
    """The suspects among photos of all splits, the most doubtful first.

    `features` float [n, d] must come from a part of the network that has not learned from these labels (the frozen backbone);
    `truth` int [n] are indices below `labels`; `groups` are those of a snapshot's entries. A photo whose label no other group
    shows cannot be judged and is never suspected; with one group there are no suspects.
    """
    probabilities, judged = out_of_fold(features=features, truth=truth, groups=groups, labels=labels, seed=seed, folds=folds)
    rows = np.flatnonzero(judged)
    present = np.unique(truth[rows])
    if len(present) < 2:
        return []
    from cleanlab.filter import find_label_issues  # brings scikit-learn and pandas: loaded where a night runs

    given = np.searchsorted(present, truth[rows])  # cleanlab wants every class to have a photo
    scores = probabilities[np.ix_(rows, present)].astype(np.float64)
    scores /= scores.sum(axis=1, keepdims=True)
    ranked = find_label_issues(given, scores, filter_by=RULE, return_indices_ranked_by="self_confidence", n_jobs=1)
    own, most = scores[np.arange(len(given)), given], scores.max(axis=1)
    undoubted = np.delete(own, ranked)
    sure = float(np.quantile(undoubted, SURE)) if len(undoubted) else 1.0
    found = [Suspicion(int(rows[i]), int(present[scores[i].argmax()]), float(own[i]), bool(most[i] >= sure)) for i in ranked]
    return [each for each in found if each.suggested != truth[each.index]]


def taken_for(found: Iterable[Suspicion], photos: int) -> np.ndarray:
    """int [photos]: as what each of them is a clear suspect, trust.NONE for the others (trust.Doubts)."""
    labels = np.full(photos, trust.NONE)
    for each in found:
        if each.clear:
            labels[each.index] = each.suggested
    return labels


def out_of_fold(
    *, features: np.ndarray, truth: np.ndarray, groups: Sequence[str], labels: int, seed: int, folds: int = FOLDS
) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float32 [n, labels], judged bool [n]): each photo's by a model of the photos of other folds.

    `judged` is False where those show neither the photo's label nor anything else to choose from.
    """
    fold = _folds(truth, linked(groups), labels, folds, seed)
    probabilities = np.zeros((len(truth), labels), np.float32)
    judged = np.zeros(len(truth), bool)
    for number in range(folds):
        out = fold == number
        known = np.unique(truth[~out])
        if not out.any() or len(known) < 2:
            continue
        fitted = regression.fit(features[~out], np.searchsorted(known, truth[~out]), len(known))
        probabilities[np.ix_(out, known)] = fitted.probabilities(features[out])
        judged[out] = np.isin(truth[out], known)
    return probabilities, judged


def _folds(truth: np.ndarray, components: np.ndarray, labels: int, folds: int, seed: int) -> np.ndarray:
    """int [n]: whole components, the largest first, each to the fold that has least of its labels."""
    counts = np.zeros((int(components.max(initial=-1)) + 1, labels))
    np.add.at(counts, (components, truth), 1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    load, taken = np.zeros((folds, labels)), np.zeros(len(counts), int)
    for component in order:
        least = load @ counts[component] + 1e-3 * load.sum(axis=1)
        taken[component] = fold = int(least.argmin())
        load[fold] += counts[component]
    return taken[components]


# ---- rows --------------------------------------------------------------------------------------------------------
def keep(run: Run, ids: Sequence[str], suspicions: Iterable[Suspicion], labels: Sequence[str], truth: np.ndarray) -> int:
    """Write what a run doubts, in place of what an earlier attempt of it did; returns how many rows that were.

    `ids` and `truth` are those that `find` was asked about, `labels` the slugs behind the indices. Photos that were withdrawn
    meanwhile are left out. `run.metrics["suspects"]` says that the run has looked, also where it found
    nothing. Raises FencedOff.
    """
    known = {label.slug: label for label in run.recognizer.labels.all()}
    with transaction.atomic():
        runs.renew(run.pk, run.fence)  # fenced: a process that lost its run replaces nobody's suspects
        # A withdrawal takes the same turn: it comes first and we see it, or it comes later and removes our row.
        Recognizer.objects.filter(pk=run.recognizer_id).update(turn=F("turn") + 1)
        living = Photo.objects.filter(recognizer=run.recognizer_id).exclude(state=Photo.State.WITHDRAWN)
        there = {str(key) for key in living.values_list("pk", flat=True)}
        rows = [
            Suspect(
                run=run,
                photo_id=ids[each.index],
                given=known[labels[int(truth[each.index])]],
                suggested=known[labels[each.suggested]],
                confidence=each.confidence,
            )
            for each in suspicions
            if ids[each.index] in there
        ]
        Suspect.objects.filter(run=run).delete()
        Suspect.objects.bulk_create(rows, batch_size=1000)
        runs.write(run, metrics=run.metrics | {"suspects": len(rows)})
    return len(rows)


def open_suspects(recognizer: Recognizer) -> QuerySet[Suspect]:
    """What the newest run that looked still doubts, the most doubtful first: accepted photos under the label it saw.

    A decision settles the doubt about (photo, label, suggestion) for good: also for later nights
    that doubt the same, or a moderator who keeps a label would be asked again every morning.
    """
    looked = Q(metrics__has_key="suspects") | Exists(Suspect.objects.filter(run=OuterRef("pk")))
    newest = Run.objects.filter(looked, recognizer=recognizer).order_by("-pk").values("pk")[:1]
    now = Suspect.objects.filter(run=Subquery(newest), photo__state=Photo.State.ACCEPTED, photo__label=F("given"))
    open_ones = _with_settled(now).filter(settled=False)
    return open_ones.select_related("given", "suggested").order_by("confidence", "pk")


def settled(run: Run) -> set[str]:
    """The ids of the photos that a run doubts and somebody has decided about since the same was doubted first."""
    rows = _with_settled(Suspect.objects.filter(run=run)).filter(settled=True)
    return {str(photo) for photo in rows.values_list("photo", flat=True)}


def looked_at_since(run: Run) -> bool:
    """Whether somebody has decided about one of its suspects since the run began."""
    doubted = Suspect.objects.filter(run=run).values("photo")
    return Decision.objects.filter(photo__in=doubted, decided_at__gte=run.started_at).exists()


def _with_settled(rows: QuerySet[Suspect]) -> QuerySet[Any]:
    """The rows with `settled`: is there a decision since some night doubted the same first?"""
    same = Suspect.objects.filter(photo=OuterRef("photo"), given=OuterRef("given"), suggested=OuterRef("suggested"))
    doubted_since = same.filter(run__started_at__isnull=False).order_by("run__started_at").values("run__started_at")[:1]
    decided = Decision.objects.filter(photo=OuterRef("photo"), decided_at__gte=OuterRef("doubted_since"))
    return rows.annotate(doubted_since=Subquery(doubted_since)).annotate(settled=Exists(decided))
