"""FAME, measured: leaderboards over 10^4, 10^5 and 10^6 photos with 10 votes each, on a PostgreSQL of its own.

Photos, votes and one night's values are made by INSERT … SELECT generate_series; the rows of fame by the rebuild, which is
measured. Then pages are asked for: the verb alone, and the API's answer through Django's whole stack in this process. Requests
rotate over periods, labels and the first pages; none is answered from a cache.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench._facts import QUICK, claim, percentile, say
from tests.real_servers import postgresql

SIZES = (10_000,) if QUICK else (10_000, 100_000, 1_000_000)  # photos
VOTES = 10  # a photo
LABELS = 20
DAYS = 365  # that the photos were accepted on
PHOTOS_EACH = 100  # of a volunteer: 10,000 volunteers at 10^6
REQUESTS = 200
SEED = 20261126
GOAL_MS = 100.0
NAME = "leaderboard page data at 10^6 photos: p95"
# The k-th photo is of volunteer k % people, so each volunteer has photos on many days; every 50th copies the one before it.
PHOTOS = """
    INSERT INTO collector_photo (id, volunteer_id, recognizer_id, claimed_id, label_id, source, state, sent_sha256, sha256,
        content_type, bytes, width, height, orientation, device_model, received_at, consent_version, licence, view_sha256,
        thumbnail_sha256, cluster, attempts, problem, split, accepted_at)
    SELECT md5('p' || k)::uuid, md5('v' || k %% %(people)s)::uuid, %(recognizer)s, %(label)s + k %% %(labels)s,
        %(label)s + k %% %(labels)s, 'phone', 'accepted', '', md5('b' || k), 'image/jpeg', 1, 64, 64, 1, '',
        now() - (k * %(days)s::float / %(photos)s) * interval '1 day', '', '', '', '',
        md5('p' || (k - (k %% 50 = 49)::int))::uuid, 0, '', 'train',
        now() - (k * %(days)s::float / %(photos)s) * interval '1 day'
    FROM generate_series(0, %(photos)s - 1) AS k
"""
PEOPLE = """
    INSERT INTO collector_volunteer (id, handle, token_hash, consent_version, consented_at, created_at)
    SELECT md5('v' || k)::uuid, 'Volunteer ' || k, md5('t' || k), '', now(), now() FROM generate_series(0, %(people)s - 1) AS k
"""
# Voters of a photo are ten neighbours in the list of volunteers, never its own.
VOTED = """
    INSERT INTO newsletter_vote (volunteer_id, photo_id, "like", voted_at)
    SELECT md5('v' || (k + 1 + n * 7) %% %(people)s)::uuid, md5('p' || k)::uuid, (k * 31 + n * 17) %% 10 < 6, now()
    FROM generate_series(0, %(photos)s - 1) AS k, generate_series(0, %(votes)s - 1) AS n
"""
VALUED = """
    INSERT INTO training_photovalue (run_id, photo_id, value)
    SELECT %(run)s, md5('p' || k)::uuid, ((k %% 1000 * 7919) %% 1000 - 300) / 1e7 FROM generate_series(0, %(photos)s - 1) AS k
"""


def measure() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Starts a server, fills and measures one size after the other: (rows, claims)."""
    with tempfile.TemporaryDirectory(prefix="photorally-boards-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must pass through it
        with postgresql(folder / "postgresql") as url:
            os.environ |= {"DATABASE_URL": url, "VAR_DIR": name, "DJANGO_SETTINGS_MODULE": "config.settings"}
            os.environ.pop("REDIS_URL", None)
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            rows = [one_size(photos) for photos in SIZES]
            from django.db import connection

            connection.close()
    p95 = {row["photos"]: row["API p95 ms"] for row in rows}
    text = f"{NAME} ≤ {GOAL_MS:g} ms on PostgreSQL"
    return rows, [claim(text, lambda: p95[10**6], GOAL_MS, at_least=False)]


def one_size(photos: int) -> dict[str, Any]:
    """A recognizer of its own with this many photos, measured; its rows are removed again."""
    from django.db import connection

    from collector.models import Photo, Volunteer
    from newsletter import fame, fame_rows
    from newsletter.models import FameLine
    from newsletter.votes import cast

    say(f"{photos} photos …")
    recognizer = _fill(photos)
    rebuild_s = _seconds(lambda: fame_rows.rebuild(recognizer=recognizer))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    lines = FameLine.objects.count()
    verb, api = _pages(recognizer)
    photo = Photo.objects.filter(recognizer=recognizer).order_by("-accepted_at").first()
    assert photo is not None
    voter = Volunteer.objects.exclude(pk__in=photo.votes.values("volunteer")).exclude(pk=photo.volunteer_id).first()
    assert voter is not None
    vote_ms = _seconds(lambda: cast(volunteer=voter, photo_id=photo.pk, like=True)) * 1000
    settle_ms = _seconds(lambda: fame.settle(recognizer=recognizer)) * 1000
    row = {"photos": photos, "votes": photos * VOTES, "lines": lines, "rebuild s": round(rebuild_s, 1)}
    row |= {"one vote ms": round(vote_ms, 1), "its recount ms": round(settle_ms, 1)}
    for name, times in (("verb", verb), ("API", api)):
        row |= {f"{name} p50 ms": round(percentile(times, 0.5), 1), f"{name} p95 ms": round(percentile(times, 0.95), 1)}
    say(str(row))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE collector_recognizer, collector_volunteer CASCADE")
    return row


def _fill(photos: int) -> Any:
    from django.db import connection
    from django.utils import timezone

    from collector.models import Label, Recognizer
    from training.models import Run

    recognizer = Recognizer.objects.create(slug="bench", name="Bench")
    labels = [
        Label.objects.create(recognizer=recognizer, slug=f"label-{n}", name=f"Label {n}", position=n) for n in range(LABELS)
    ]
    run = Run.objects.create(recognizer=recognizer, slot="1", queued_at=timezone.now())
    values = {"photos": photos, "people": photos // PHOTOS_EACH, "recognizer": recognizer.pk, "label": labels[0].pk}
    values |= {"labels": LABELS, "days": DAYS, "votes": VOTES, "run": run.pk}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # foreign keys are right by construction: 10^7 checks less
        for statement in (PEOPLE, PHOTOS, VOTED, VALUED):
            cursor.execute(statement, values)
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
    return recognizer


def _pages(recognizer: Any) -> tuple[list[float], list[float]]:
    """Milliseconds of each request: the verb alone, and the API's answer."""
    from rest_framework.test import APIClient

    from collector.models import Label, Volunteer
    from newsletter import fame
    from newsletter.fame_asked import asked
    from newsletter.periods import KINDS

    client = APIClient(SERVER_NAME="localhost")
    client.force_authenticate(Volunteer.objects.order_by("pk").first())
    slugs = ["", *Label.objects.filter(recognizer=recognizer).values_list("slug", flat=True)]
    draw = random.Random(SEED)
    verb, api = [], []
    for at in range(REQUESTS):
        query = {"period": KINDS[at % len(KINDS)], "label": draw.choice(slugs), "from": str(1 + 20 * draw.randrange(50))}
        board, skip = asked(recognizer=recognizer, query=query)
        verb.append(_seconds(lambda: fame.leaderboard(board=board, limit=21, skip=skip)) * 1000)  # noqa: B023  called at once
        began = time.perf_counter()
        answer = client.get("/api/v1/recognizers/bench/fame", query)
        api.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.content
    return verb, api


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
