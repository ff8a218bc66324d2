"""RELEASE → PHONE: released files, smaller: by zstd alone, or by what a phone has already (RFC 9842, content encoding `dcz`).

Nights resemble each other: most bytes of the file before are in the new one. Bodies are made by a worker once a channel offers
a file, never in a request; until then, and for phones with anything else, the whole file is sent.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta

import structlog
import zstandard
from django.conf import settings
from django.db.models import Count, F, Q
from django.utils import timezone

from collector.storage import MissingObject, put_blob, store
from training import formats, release
from training.models import Artifact, Benchmark, Channel, Encoded, Release

KIND = "encodings"
DCZ, ZSTD = "dcz", "zstd"
# RFC 9842, section 5: a skippable frame of zstd (RFC 8878, 3.1.2) of 32 bytes, the dictionary's SHA-256.
DCZ_MAGIC = bytes.fromhex("5e2a4d1820000000")
# Formats that come whole: no phone runs the reference, and the canaries' pictures are the same every night.
WHOLE = (formats.FLOAT32.name, formats.CANARIES.name)
LEVEL = 19  # of 22: the slowest that takes no more memory than the window; a body is made once and read by thousands
WINDOW_MOST = 23  # 8 MiB: what each decoder of dcz has to allow (RFC 9842, section 5), and zstd's too (RFC 9659)
_DICTIONARY = re.compile(r":([A-Za-z0-9+/]{43}=):", re.ASCII)  # a byte sequence of RFC 8941 that holds 32 bytes
log = structlog.get_logger()


# ---- which are wanted --------------------------------------------------------------------------------------------
def due() -> list[str]:
    """Pairs "<file> <base or nothing>" of files that are offered now, which nobody has made, is making, or has given up."""
    now = timezone.now()
    wanted = [f"{sha256} {base}" for sha256, base in _wanted()]
    known = Encoded.objects.filter(sha256__in={pair.split(" ")[0] for pair in wanted})
    settled = known.exclude(state=Encoded.State.WANTED) | known.filter(lease_until__gte=now)
    done = {f"{row.sha256} {row.base}" for row in settled}
    return [pair for pair in wanted if pair not in done]


def _wanted() -> Iterator[tuple[str, str]]:
    for channel in Channel.objects.select_related("release", "previous", "arm"):
        newest = [each for each in (channel.release, channel.previous, channel.arm) if each]
        offered = [each for each in newest if each.state == Release.State.PUBLISHED]
        recent, reported = _had(channel)
        for artifact in Artifact.objects.filter(releases__in=offered).exclude(format__in=WHOLE).distinct().order_by("pk"):
            yield artifact.sha256, ""
            yield from ((artifact.sha256, base) for base in _bases(artifact, recent, reported))


Had = list[tuple[str, str]]  # (format, sha256) of files that phones have, those first that most phones have


def _had(channel: Channel) -> tuple[Had, Had]:
    """The files of the channel's last releases, and those that devices reported lately. Asked for at every sweep: a few queries
    a channel, however many files it offers."""
    last = Release.objects.filter(recognizer=channel.recognizer_id).order_by("-version")[: settings.DELTA_RELEASES + 1]
    files = Artifact.objects.filter(run__recognizer=channel.recognizer_id)
    recent = files.filter(releases__in=list(last)).order_by("-releases__version").values_list("format", "sha256")
    since = timezone.now() - timedelta(days=settings.DELTA_REPORTED_DAYS)
    counted = (
        Benchmark.objects.filter(recognizer=channel.recognizer_id, reported_at__gte=since)
        .order_by()
        .values_list("artifact_sha256")
        .annotate(devices=Count("pk"))
        .order_by("-devices", "artifact_sha256")
    )
    ranked = [sha256 for sha256, _ in counted]
    known = dict(files.filter(sha256__in=ranked).values_list("sha256", "format"))
    return list(recent), [(known[sha256], sha256) for sha256 in ranked if sha256 in known]


def _bases(artifact: Artifact, recent: Had, reported: Had) -> list[str]:
    """What phones that want `artifact` have now, of its format."""

    def others(had: Had) -> list[str]:
        return list(dict.fromkeys(sha256 for name, sha256 in had if name == artifact.format and sha256 != artifact.sha256))

    bases = others(recent)
    return bases + [sha256 for sha256 in others(reported) if sha256 not in bases][: settings.DELTA_REPORTED]


# ---- making them -------------------------------------------------------------------------------------------------
def make(pair: str) -> bool:
    """Make the body of a pair that is due; False where somebody else has it. Safe to repeat."""
    sha256, base = pair.split(" ")
    row, _ = Encoded.objects.get_or_create(sha256=sha256, base=base)
    fence = _claimed(row)
    if fence is None:
        return False
    try:
        body = _encoded(sha256, base)
    except MissingObject as missing:
        log.error("released blob is missing", key=str(missing))
        return False  # tried again when its lease has run out
    done = Encoded.State.USELESS if body is None else Encoded.State.MADE
    digest = put_blob(KIND, body) if body else ""
    mine = Encoded.objects.filter(pk=row.pk, attempts=fence, state=Encoded.State.WANTED)
    mine.update(state=done, body=digest, bytes=len(body or b""), made_at=timezone.now(), lease_until=None)
    _forget_old()
    return True


def _claimed(row: Encoded) -> int | None:
    """The fence of this try. A pair that was tried too often is set aside: phones get the whole file."""
    now = timezone.now()
    free = Encoded.objects.filter(pk=row.pk, state=Encoded.State.WANTED).filter(Q(lease_until=None) | Q(lease_until__lt=now))
    if row.attempts >= settings.DELTA_ATTEMPTS:
        free.filter(attempts=row.attempts).update(state=Encoded.State.FAILED, lease_until=None)
        return None
    lease = now + timedelta(seconds=settings.DELTA_LEASE_S)
    taken = free.filter(attempts=row.attempts).update(attempts=F("attempts") + 1, lease_until=lease)
    return row.attempts + 1 if taken else None


def _encoded(sha256: str, base: str) -> bytes | None:
    """The body, decoded once to be sure; None where it saves too little. Raises MissingObject."""
    file = store().get(f"{release.KIND}/{sha256}")
    if not base:
        body = compressed(file)
        return body if len(body) < len(file) else None
    before = store().get(f"{release.KIND}/{base}")
    body = difference(file, before)
    # The body by zstd alone comes first (_wanted): it is not made again for each base.
    alone = Encoded.objects.filter(sha256=sha256, base="", state=Encoded.State.MADE).values_list("bytes", flat=True).first()
    if len(body) > settings.DELTA_MOST_SHARE * (alone or len(file)):
        return None
    if hashlib.sha256(restored(body, before, most=len(file))).hexdigest() != sha256:
        raise ValueError(f"{sha256} does not come out of its difference from {base}.")
    return body


def compressed(file: bytes) -> bytes:
    """A zstd frame of the file by itself."""
    return zstandard.ZstdCompressor(compression_params=_parameters(len(file))).compress(file)


def difference(file: bytes, before: bytes) -> bytes:
    """The `dcz` body (RFC 9842, section 5) that tells `file` by the raw bytes of `before`."""
    dictionary = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    parameters = _parameters(len(file) + len(before))
    frame = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(file)
    return DCZ_MAGIC + hashlib.sha256(before).digest() + frame


def restored(body: bytes, before: bytes, *, most: int) -> bytes:
    """What a `dcz` body tells, at most `most` bytes. Raises zstandard.ZstdError, ValueError for another dictionary's."""
    head = DCZ_MAGIC + hashlib.sha256(before).digest()
    if not body.startswith(head):
        raise ValueError("It is told by another file.")
    dictionary = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=2**WINDOW_MOST)
    return reader.stream_reader(body[len(head) :]).read(most + 1)


def _parameters(reach: int) -> zstandard.ZstdCompressionParameters:
    """A window that reaches over everything, as far as decoders allow; long matches are looked for."""
    window = min(WINDOW_MOST, max(10, (reach - 1).bit_length()))
    return zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=window, enable_ldm=True, write_content_size=True)


def _forget_old() -> None:
    """Rows of files that no channel offers any more go once no manifest that names them is valid; the sweeper takes bodies."""
    ago = timezone.now() - timedelta(seconds=settings.MANIFEST_VALID_S)
    Encoded.objects.filter(made_at__lt=ago).exclude(sha256__in={sha256 for sha256, _ in _wanted()}).delete()


# ---- for a request -----------------------------------------------------------------------------------------------
def chosen(sha256: str, *, accept_encoding: str, available: str) -> tuple[str, Encoded] | None:
    """(content encoding, body) for a phone that accepts these and has the dictionary that it names; None: as it is."""
    accepted = accepts(accept_encoding)
    base = dictionary_named(available) if DCZ in accepted else None
    if not base and ZSTD not in accepted:
        return None
    bases = [*([base] if base else []), *([""] if ZSTD in accepted else [])]
    found = {row.base: row for row in Encoded.objects.filter(sha256=sha256, base__in=bases, state=Encoded.State.MADE)}
    if base and base in found:
        return DCZ, found[base]
    return (ZSTD, found[""]) if "" in found else None


def accepts(header: str) -> set[str]:
    """The content codings of an Accept-Encoding header (RFC 9110, 12.5.3) that are not refused by a weight of 0; "*" is none
    of ours: who does not name a coding may not know it."""
    found = set()
    for part in header.split(","):
        coding, *parameters = (each.strip().lower() for each in part.split(";"))
        weights = [each.removeprefix("q=") for each in parameters if each.startswith("q=")]
        if coding and not any(re.fullmatch(r"0(\.0{0,3})?", weight) for weight in weights):
            found.add(coding)
    return found


def dictionary_named(header: str) -> str | None:
    """SHA-256 (hex) of an Available-Dictionary header (RFC 9842, 2.2); None where it names none."""
    match = _DICTIONARY.fullmatch(header.strip())
    if match is None:
        return None
    try:
        return base64.b64decode(match[1], validate=True).hex()
    except binascii.Error:
        return None
