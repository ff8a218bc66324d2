"""INTAKE for owners of photos, through the admin: an import is a row, and a person's browser sends its files."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone
from django.utils.text import slugify

from collector.importing import BeingDecoded, NothingToImport, Outcome, Plan, import_one
from collector.models import ImportJob, ImportRefusal, Recognizer
from collector.pieces import key_of
from collector.storage import store
from config.errors import Problem


class ImportTooLarge(Problem):
    status, code, title = 413, "import-too-large", "The zip is too large."


class ImportNotOpen(Problem):
    status, code, title = 409, "import-not-open", "This import does not take files any more."


class WrongPiece(Problem):
    status, code, title = 409, "wrong-piece", "The pieces of a zip come in order, all but the last of the same size."


class NoRecognizer(Problem):
    status, code, title = 422, "no-recognizer", "Choose a recognizer, or name a new one."


class NotConfirmed(Problem):
    status, code, title = 422, "not-confirmed", "Nothing is imported without the right to give it."


def begin(
    *, user: User, kind: str, recognizer: str, new_name: str, accept: bool, confirmed: bool, total: int = 0, size: int = 0
) -> ImportJob:
    """Open an import. `recognizer` is a slug; if it is empty, `new_name` names a new one (or one that has this name already).

    `total`: files that will be sent, 0 if unknown. `size`: bytes of the zip, 0 if unknown.
    Raises NotConfirmed, NoRecognizer, ImportTooLarge.
    """
    if not confirmed:
        raise NotConfirmed(f"Confirm that you have the right to give these photos under {settings.PHOTO_LICENCE}.")
    check_size(size)
    slug, name = _recognizer(recognizer, new_name)
    return ImportJob.objects.create(
        kind=ImportJob.Kind(kind),
        recognizer_slug=slug,
        recognizer_name=name,
        accept=accept,
        user=user,
        licence=settings.PHOTO_LICENCE,
        total=total,
    )


def _recognizer(slug: str, new_name: str) -> tuple[str, str]:
    if not slug:
        new_name = " ".join("".join(letter for letter in new_name if letter.isprintable()).split())
        slug = slugify(new_name)
        if not slug or len(slug) > 50 or len(new_name) > 80:
            raise NoRecognizer("A new recognizer's name has at least one letter of a to z or digit, and at most 50 letters.")
    found = Recognizer.objects.filter(slug=slug).first()
    if found is None and not new_name:
        raise NoRecognizer("There is no such recognizer. Choose one of the list, or name a new one.", recognizer=slug)
    if found and not found.active:
        raise NoRecognizer(f"{found.name} is inactive and takes no photos.", recognizer=slug)
    return (found.slug, found.name) if found else (slug, new_name)


def take_file(*, job: ImportJob, name: str, body: bytes) -> Outcome:
    """One file of an import of single files, counted. Raises ImportNotOpen and what `import_one` raises."""
    sending = ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.SENDING, kind=ImportJob.Kind.FILES)
    if not sending.exists():
        raise ImportNotOpen("It has ended. Begin another one.")
    try:
        outcome = import_one(plan=plan_of(job), name=name, body=body)
    except BeingDecoded:
        raise
    except Problem as problem:
        refuse_file(job=job, name=name, why=problem.detail)
        raise
    sending.update(
        done=F("done") + 1,
        new=F("new") + int(outcome.new),  # PostgreSQL adds no booleans
        known=F("known") + int(not outcome.new),
        accepted=F("accepted") + int(outcome.accepted),
    )
    return outcome


def refuse_file(*, job: ImportJob, name: str, why: str) -> None:
    """Count and list a file that was not taken; a list longer than a zip's is cut, the count goes on."""
    counted = ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.SENDING)
    if not counted.update(done=F("done") + 1, refused=F("refused") + 1):
        return
    if job.refusals.count() < settings.IMPORT_ZIP_MAX_MEMBERS:
        ImportRefusal.objects.create(job=job, name=shown(name), why=why[:300])


def check_size(size: int) -> None:
    """Raise ImportTooLarge for a zip of `size` bytes, before it is sent."""
    most = settings.IMPORT_ZIP_MAX_BYTES
    if size > most:
        raise ImportTooLarge(
            f"A zip has at most {most // 2**20} MB, this one has {size // 2**20}. Make several of it.", most=most
        )


def add_piece(*, job: ImportJob, number: int, data: bytes) -> None:
    """Keep one piece of a zip, IMPORT_PIECE_BYTES long, the last one shorter. The piece sent last may come again.

    Raises ImportNotOpen, WrongPiece, ImportTooLarge.
    """
    sending = ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.SENDING, kind=ImportJob.Kind.ZIP)
    row = sending.first()
    if row is None:
        raise ImportNotOpen("It has ended. Begin another one.")
    if number == row.pieces - 1:  # the answer to the first try was lost
        return
    if number != row.pieces or row.zip_bytes != number * settings.IMPORT_PIECE_BYTES or not data:
        raise WrongPiece(f"Piece {row.pieces} is next.", next=row.pieces)
    if len(data) > settings.IMPORT_PIECE_BYTES:
        raise WrongPiece(f"A piece has {settings.IMPORT_PIECE_BYTES} bytes.", bytes=settings.IMPORT_PIECE_BYTES)
    check_size(row.zip_bytes + len(data))
    key = key_of(job.pk, number)
    store().put(key, data)
    # Stopped, or a twin of this request was faster. A twin's piece is the same; that of a stopped import must not stay.
    kept = sending.filter(pieces=number).update(pieces=number + 1, zip_bytes=row.zip_bytes + len(data))
    if not kept and not sending.exists():
        store().delete(key)
        raise ImportNotOpen("It was stopped.")


def close(*, job: ImportJob) -> bool:
    """Everything was sent. A zip now waits for a worker (returns True: ring), single files are done.

    Raises NothingToImport for a zip of no bytes.
    """
    sending = ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.SENDING)
    if job.kind == ImportJob.Kind.ZIP:
        if not sending.filter(pieces__gt=0).update(state=ImportJob.State.WORKING):
            raise NothingToImport("No byte of the zip was sent.")
        return True
    sending.update(state=ImportJob.State.DONE, ended_at=timezone.now())
    return False


def stop(*, job: ImportJob, why: str = "Somebody stopped it.") -> bool:
    """End an open import; what was taken in stays. Returns False where it had ended."""
    open_ = ImportJob.objects.filter(pk=job.pk, state__in=ImportJob.OPEN)
    stopped = open_.update(state=ImportJob.State.STOPPED, problem=why, ended_at=timezone.now())
    return stopped == 1


def plan_of(job: ImportJob) -> Plan:
    """How each file of this import is taken in; its decisions are its user's."""
    return Plan(slug=job.recognizer_slug, name=job.recognizer_name, accept=job.accept, moderator=job.user)


def shown(name: str) -> str:
    """A stranger's file name as a list may show it: printable, not too long, its end kept."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)[-300:]
