"""A process that sends mails while it is measured: `python -m bench._mailer WHAT COUNT MESSAGE`, set up by the environment.

`prepare` makes COUNT readers and an edition for them, and writes its mail to MESSAGE; the others send that to COUNT readers:
`deliver` from the edition's rows, `send_mail` as Django's manual has it, `one connection` by Django's EmailMultiAlternatives;
`worker` sends until it is killed, and `finish` what is left. Each prints a line of JSON.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core import mail as django_mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from collector.models import Recognizer  # noqa: E402
from collector.volunteers import register  # noqa: E402
from newsletter import mail  # noqa: E402
from newsletter.delivery import deliver, progress  # noqa: E402
from newsletter.models import Delivery, Edition, Subscriber  # noqa: E402
from newsletter.transport import server  # noqa: E402

LIMIT_S = 900  # seconds until the rest is given up
DOMAINS = 200  # of readers; the default pace of a domain is on and is not reached
PARAGRAPH = "Bring a tin, a jar and a packet to a place where nobody would look for them, and photograph each one from above. "


def reader(number: int) -> str:
    return f"reader{number}@d{number % DOMAINS}.example"


def prepare(count: int, message: Path) -> dict[str, Any]:
    """An edition without photos, since `send_mail` attaches none; with a leaderboard, which is asked for before every mail."""
    call_command("migrate", verbosity=0)
    recognizer = Recognizer.objects.create(slug="groceries", name="Groceries")
    people = [register(consent=True, handle=f"Volunteer {number}", address="192.0.2.1")[0] for number in range(5)]
    lines = [{"place": at, "volunteer": str(who.pk), "photos": 3, "points": 30} for at, who in enumerate(people, start=1)]
    now = timezone.now()
    edition = Edition.objects.create(
        recognizer=recognizer,
        number=1,
        day=now.date(),
        state=Edition.State.FROZEN,
        frozen_at=now,
        title="The challenge of today",
        introduction="\n\n".join([PARAGRAPH * 3] * 8),
        content={"leaderboard": lines},
    )
    for start in range(0, count, 1000):
        made = Subscriber.objects.bulk_create(
            Subscriber(recognizer=recognizer, email=reader(number), state=Subscriber.State.CONFIRMED)
            for number in range(start, min(start + 1000, count))
        )
        Delivery.objects.bulk_create(Delivery(edition=edition, subscriber=each) for each in made)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # as PostgreSQL does by itself a minute later
    first = Delivery.objects.select_related("subscriber").first()
    made = mail.message(mailing=mail.prepare(edition=edition), delivery=first)
    html = str(made.alternatives[0][0])
    message.write_text(json.dumps({"subject": made.subject, "text": made.body, "html": html}))
    return {"bytes": len(mail.as_bytes(made))}


def ours(count: int, message: Path) -> dict[str, Any]:
    edition = Edition.objects.get()
    fresh = {"state": Delivery.State.QUEUED, "attempts": 0, "claim": None, "not_before": timezone.now()}
    Delivery.objects.update(**fresh)
    Edition.objects.update(state=Edition.State.FROZEN)

    def send() -> None:
        while Edition.objects.filter(state=Edition.State.FROZEN).exists():
            deliver(edition_id=edition.pk)

    return timed(count, send) | {"counts": progress(edition=edition)}


def send_mail(count: int, message: Path) -> dict[str, Any]:
    each = _django(message)

    def send() -> None:
        for number in range(count):
            django_mail.send_mail(
                each["subject"], each["text"], settings.MAIL_FROM, [reader(number)], html_message=each["html"]
            )

    return timed(count, send)


def one_connection(count: int, message: Path) -> dict[str, Any]:
    each = _django(message)

    def send() -> None:
        with django_mail.get_connection() as connection:
            for number in range(count):
                made = django_mail.EmailMultiAlternatives(
                    each["subject"], each["text"], settings.MAIL_FROM, [reader(number)], connection=connection
                )
                made.attach_alternative(each["html"], "text/html")
                made.send()

    return timed(count, send)


def worker(count: int, message: Path) -> dict[str, Any]:
    """Send until it is killed, hurried as `bench._mails` says."""
    _hurry()
    edition = Edition.objects.get()
    while True:
        deliver(edition_id=edition.pk)
        time.sleep(0.05)  # what another worker has claimed, or is not due yet


def finish(count: int, message: Path) -> dict[str, Any]:
    """What `manage.py work` would go on with: until the edition is sent."""
    _hurry()
    edition = Edition.objects.get()
    until = time.monotonic() + LIMIT_S
    while Edition.objects.get().state == Edition.State.FROZEN and time.monotonic() < until:
        deliver(edition_id=edition.pk)
        time.sleep(0.05)
    return {"counts": progress(edition=edition)}


def counts(count: int, message: Path) -> dict[str, Any]:
    return {"counts": progress(edition=Edition.objects.get())}


def _hurry() -> None:
    from bench._mails import HURRIED, SILENT_S

    for name, value in {**HURRIED, "DELIVERY_LEASE_S": SILENT_S}.items():
        setattr(settings, name, value)


def _django(message: Path) -> dict[str, str]:
    """Let Django's own SMTP backend talk to the server that EMAIL_URL names."""
    to = server(settings.EMAIL_URL)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = to.host, to.port
    found: dict[str, str] = json.loads(message.read_text())
    return found


def timed(count: int, send: Callable[[], None]) -> dict[str, Any]:
    """Mails, seconds on the clock and of this process' CPU, and megabytes it held: now, and at most since its start."""
    began, cpu = time.perf_counter(), time.process_time()
    send()
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held = psutil.Process().memory_info().rss / 2**20
    return {"mails": count, "s": took, "cpu_s": time.process_time() - cpu, "rss_mb": held, "peak_mb": peak}


WAYS = {
    "prepare": prepare,
    "deliver": ours,
    "send_mail": send_mail,
    "one connection": one_connection,
    "worker": worker,
    "finish": finish,
    "counts": counts,
}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
