"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from collector import limits, moderation
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    if developing.develop(photo_id=UUID(photo_id)):
        moderation.decide_by_rule(photo_id=UUID(photo_id))


@duty(queue="images", due=limits.past)
def forget_allowances(window_s: int) -> None:
    limits.forget(window_s=window_s)
