"""django-newsletter as its documentation sets it up, on SQLite: `manage.py prepare|send COUNT MESSAGE PORT`.

Runs in a virtual environment of its own. `prepare` makes COUNT subscriptions; `send` submits the message to them and lets the
library's own `submit_queue` send it. Each prints a line of JSON.
"""

import json
import sys
import time
from pathlib import Path


def configure(port: str) -> None:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="a bench",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path.cwd() / "peer.sqlite3")}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            *("django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "django.contrib.sites"),
            *("django.contrib.messages", "django.contrib.admin", "sorl.thumbnail", "newsletter"),
        ],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        SITE_ID=1,
        ROOT_URLCONF="newsletter.urls",
        NEWSLETTER_THUMBNAIL="sorl-thumbnail",
        EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=int(port),
        USE_TZ=True,
    )
    django.setup()


def prepare(count: int) -> None:
    from django.core.management import call_command

    from newsletter.models import Newsletter, Subscription

    call_command("migrate", verbosity=0)
    newsletter = Newsletter.objects.create(title="Groceries", slug="groceries", email="news@example.org", sender="Photorally")
    Subscription.objects.bulk_create(
        Subscription(
            newsletter=newsletter,
            email_field=f"reader{number}@d{number % 200}.example",
            subscribed=True,
            activation_code=f"{number:040}",
        )
        for number in range(count)
    )


def send(message: dict[str, str]) -> None:
    from django.utils import timezone

    from newsletter.models import Article, Message, Newsletter, Submission

    newsletter = Newsletter.objects.get()
    made = Message.objects.create(title=message["subject"], slug=f"issue-{time.time_ns()}", newsletter=newsletter)
    Article.objects.create(post=made, title=message["subject"], text=message["text"], sortorder=10)
    submission = Submission.from_message(made)
    submission.prepared, submission.publish_date = True, timezone.now()
    submission.save()
    Submission.submit_queue()


if __name__ == "__main__":
    what, count, file, port = sys.argv[1:]
    configure(port)
    began = time.perf_counter()
    if what == "prepare":
        prepare(int(count))
    else:
        send(json.loads(Path(file).read_text()))
    print(json.dumps({"mails": int(count), "s": time.perf_counter() - began}))
