"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from collector import direct, staging
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    developing.develop(photo_id=UUID(photo_id))


@duty(queue="images", due=staging.complete)
def collect_upload(upload_id: str) -> None:
    if photo := staging.collect(upload_id=UUID(upload_id)):
        develop.ring(str(photo.pk))


@duty(queue="images", due=direct.awaited)
def collect_direct(upload_id: str) -> None:
    if photo := direct.collect(upload_id=UUID(upload_id)):
        develop.ring(str(photo.pk))


@duty(queue="images", due=staging.overdue)
def sweep_upload(upload_id: str) -> None:
    staging.sweep(upload_id=UUID(upload_id))
