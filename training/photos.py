"""SNAPSHOT → FINE-TUNE: the photos of a night, loaded and divided into those to learn from, to choose by, and to judge by."""

from dataclasses import dataclass

import numpy as np
from django.conf import settings

from collector.storage import MissingObject
from training import groups, looks, plan
from training.errors import NothingHeldOut, TooFewPhotos
from training.images import Progress
from training.models import Run, Trunk
from training.plan import Plan
from training.recipe import Recipe
from training.scenes import divide
from training.seen import Seen, from_cache, from_pictures, parted
from training.snapshot import LEAST_LABELS


@dataclass(frozen=True)
class Photos:
    """The photos of tonight's classes, ready for the network. `train` and `validation` are parts of `learnable`; `scenes`
    int [n] of the validation photos tell which of them are no independent draws; `divided` says how they were chosen, "" for
    as they were accepted; `made`: how many had to be decoded and looked at."""

    learnable: Seen
    train: Seen
    validation: Seen
    test: Seen
    scenes: np.ndarray
    divided: str
    made: int


def without(tonight: Plan, photos: Photos) -> Photos:
    """The photos without those to learn from and to choose by that the plan's distrusted accounts sent; `photos` itself is put
    into another order and is of no more use. Raises NothingHeldOut, TooFewPhotos.

    Their test photos stay. What judges a model is what people decided, never what a model doubts: whoever brought an honest
    account into doubt would otherwise take away the very photos that show the harm, and figures would leave out what is hard.
    Both files of a comparison get the same lies wrong, so that a liar among the test photos can hold up a release, at worst,
    until a moderator has looked at them; it can bring none about.
    """
    accounts = {each.account for each in tonight.distrusted}
    theirs = np.array([groups.volunteer(group) in accounts for group in photos.learnable.groups], bool)
    if not theirs.any():
        return photos
    learnable, _ = parted(photos.learnable, theirs)
    left = _divided(tonight, learnable, photos.test, made=photos.made)
    if len(np.unique(left.train.truth)) < LEAST_LABELS:
        raise TooFewPhotos("The other accounts' photos to learn from show fewer than two labels.")
    return left


def ready(run: Run, tonight: Plan, progress: Progress) -> tuple[Plan, Photos]:
    """The plan's photos; as often as one was withdrawn since they were frozen, a new plan without it."""
    while True:
        try:
            return tonight, load(run, tonight, progress)
        except MissingObject:
            again = plan.make(run)
            if again.entries == tonight.entries:
                raise  # not withdrawn: the store has lost it
            tonight = again


def load(run: Run, tonight: Plan, progress: Progress) -> Photos:
    """The plan's photos as they are now. Raises MissingObject, UnreadablePhoto, NothingHeldOut."""
    recipe = tonight.recipes[-1]
    train, validation, test = (tonight.of(split) for split in ("train", "validation", "test"))
    if tonight.cached:
        trunk = _trunk(run, tonight, recipe)
        learnable, made = from_cache(trunk, train + validation, recipe, held_out=False, progress=progress)
        judged, more = from_cache(trunk, test, recipe, held_out=True, progress=progress)
        looks.forget_others(trunk)
        return _divided(tonight, learnable, judged, made=made + more)
    learnable = from_pictures(train + validation, recipe, held_out=False, progress=progress)
    judged = from_pictures(test, recipe, held_out=True, progress=progress)
    return _divided(tonight, learnable, judged, made=len(learnable) + len(judged))


def _divided(tonight: Plan, learnable: Seen, test: Seen, *, made: int) -> Photos:
    """`learnable` divided into those to learn from and those to choose by. Raises NothingHeldOut."""
    to_choose_by = {each.photo for each in tonight.of("validation")}
    division = divide(
        ids=learnable.ids,
        groups=learnable.groups,
        truth=learnable.truth,
        features=learnable.features,
        fixed=np.array([photo in to_choose_by for photo in learnable.ids], bool),
        known=tonight.known,
        share=settings.VALIDATION_LEAST,
    )
    if not division.chosen_by.any():
        raise NothingHeldOut("Photos of one more volunteer or scene fill the validation split.", split="validation")
    scenes = dict(zip(learnable.ids, division.scenes.tolist(), strict=True))
    train, validation = parted(learnable, division.chosen_by)
    found = np.array([scenes[photo] for photo in validation.ids])
    return Photos(learnable, train, validation, test, found, division.sentence, made)


def _trunk(run: Run, tonight: Plan, recipe: Recipe) -> Trunk:
    """The trunk that tonight's network has; made where this is the first night with it."""
    cut = looks.cut_name(tonight.trunk, recipe)
    known = looks.current(run.recognizer)
    if known is not None and known.cut == cut and looks.is_whole(known):
        return known
    from training.export import export_float
    from training.finetune import network_of
    from training.network import eye_of, trunk_of

    front = export_float(trunk_of(network_of(tonight.start, recipe, recipe.view_size), recipe.boundary))
    embedder = export_float(eye_of(network_of(tonight.start, recipe, recipe.image_size), recipe.boundary))
    return looks.keep_trunk(recognizer=run.recognizer, cut=cut, recipe=recipe, front=front, embedder=embedder)
