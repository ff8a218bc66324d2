"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from collector import import_steps
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    developing.develop(photo_id=UUID(photo_id))


@duty(queue="images", due=import_steps.waiting)
def import_zip(job_id: str) -> None:
    if import_steps.step(job_id=UUID(job_id)):
        import_zip.ring(job_id)


@duty(queue="images", due=import_steps.untidy)
def tidy_import(job_id: str) -> None:
    import_steps.tidy(job_id=UUID(job_id))
