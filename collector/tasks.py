"""The worker's side of INTAKE."""

from uuid import UUID

from collector import develop as developing
from collector import erasure, sweeping
from config.duties import duty


@duty(queue="images", due=developing.undeveloped)
def develop(photo_id: str) -> None:
    developing.develop(photo_id=UUID(photo_id))


@duty(queue="images", due=erasure.owed)
def settle(debt_id: int) -> None:
    erasure.settle(debt_id=debt_id)


@duty(queue="images", due=sweeping.due)
def sweep_folder(folder: str) -> None:
    sweeping.sweep_folder(folder=folder)
