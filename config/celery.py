"""Celery where there is a broker: three queues, early acks, no results, a sweep by beat."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

app = Celery("photorally")
app.conf.update(
    broker_url=settings.REDIS_URL or "memory://",
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    # Early ack: the row is the truth, a lost task is rung again by the sweeper. With late acks Redis would hand a task that
    # still runs to a second worker after its visibility timeout (1 h).
    task_acks_late=False,
    task_time_limit=600,  # seconds; what lasts longer is a subprocess with a lease of its own
    task_soft_time_limit=570,
    task_default_queue="images",
    worker_prefetch_multiplier=1,  # a slow photo must not hold others hostage
    worker_max_tasks_per_child=500,  # image libraries fragment memory; a fresh child gives it back
    broker_connection_retry_on_startup=True,
    task_publish_retry=False,  # a broker that is away must not hold up a request
    # Seconds. max_retries: a publisher does not wait for a broker that is away (kombu's default holds a request for 6 s).
    broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 0},
    timezone="UTC",
    beat_schedule={
        "sweep": {
            "task": "config.sweep",
            "schedule": float(settings.SWEEP_S),
            "options": {"expires": float(settings.SWEEP_S), "queue": "images"},
        }
    },
)
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_errors(**kwargs: object) -> None:
    """A worker or beat with a setting that cannot be right does not start."""
    from django.core.exceptions import ImproperlyConfigured

    from config.checks import refuse_errors as look

    try:
        look()
    except ImproperlyConfigured as problem:
        # Celery logs exceptions of its signals and goes on; SystemExit passes.
        raise SystemExit(f"photorally does not start: {problem}") from None


@app.task(name="config.sweep", queue="images", ignore_result=True)
def sweep() -> None:
    """Beat's only entry."""
    from config.duties import sweep as ring_for_what_is_due

    ring_for_what_is_due()
