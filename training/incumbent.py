"""EVALUATE: what phones have now, as far as tonight's candidate can be compared with it."""

from collector.storage import store
from training.formats import INT8
from training.models import Artifact, Release
from training.plan import Plan
from training.release import KIND


def int8_of(incumbent: Release | None, name: str = INT8.name) -> Artifact | None:
    """Of a published release: nobody has to be as good as a withdrawn one. `name`: another format."""
    if incumbent is None or incumbent.state != Release.State.PUBLISHED:
        return None
    return incumbent.artifacts.filter(format=name).first()


def comparable(tonight: Plan, size: int, name: str = INT8.name) -> bytes | None:
    """The incumbent's file of the format `name`, if the same held-out photos can be put to it: the same input `size`, and the
    same classes, to which new ones may have been added at the end. Raises MissingObject where the store has lost it.
    """
    artifact = int8_of(tonight.incumbent, name)
    if artifact is None or artifact.input_spec["width"] != size:
        return None
    same = tonight.classes.labels[: len(artifact.labels)] == artifact.labels
    return store().get(f"{KIND}/{artifact.sha256}") if same else None
