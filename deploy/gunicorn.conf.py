"""The web process, for deploy/Procfile*: read by gunicorn. docs/running.md explains the variables."""

import os

from gunicorn.http.message import Request

from config.web import Worker, prepare

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "config.web.Worker"
workers = int(os.environ.get("WEB_WORKERS", "2"))
# A thread waits for each slow phone. Idle ones cost 50 KB; only those that work at the same time use a database connection.
threads = int(os.environ.get("WEB_THREADS", "512"))
worker_connections = 4 * threads  # the others are kept alive without a thread
timeout = 60  # seconds without a sign of life of the worker's own loop, whatever its threads do
graceful_timeout = 30  # seconds; an upload in flight may end, its phone would repeat it otherwise
control_socket_disable = True  # gunicorn's remote control: nobody here uses it
raw_env = [
    f"DATABASE_POOL={os.environ.get('DATABASE_POOL', '16')}"
]  # connections to PostgreSQL that all threads of a worker share


def pre_request(worker: Worker, request: Request) -> None:
    from django.conf import settings

    prepare(request, most=settings.PHOTO_MAX_BYTES)
