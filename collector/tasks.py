"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    developing.develop(photo_id=UUID(photo_id))
