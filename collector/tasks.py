"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from collector import direct, erasure, import_steps, limits, moderation, staging, sweeping
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    if developing.develop(photo_id=UUID(photo_id)):
        moderation.decide_by_rule(photo_id=UUID(photo_id))


@duty(queue="images", due=erasure.owed)
def settle(debt_id: int) -> None:
    erasure.settle(debt_id=debt_id)


@duty(queue="images", due=sweeping.due)
def sweep_folder(folder: str) -> None:
    sweeping.sweep_folder(folder=folder)


@duty(queue="images", due=limits.past)
def forget_allowances(window_s: int) -> None:
    limits.forget(window_s=window_s)


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


@duty(queue="images", due=import_steps.waiting)
def import_zip(job_id: str) -> None:
    if import_steps.step(job_id=UUID(job_id)):
        import_zip.ring(job_id)


@duty(queue="images", due=import_steps.untidy)
def tidy_import(job_id: str) -> None:
    import_steps.tidy(job_id=UUID(job_id))
