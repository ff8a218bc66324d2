"""Settings, addresses, errors and the doorbell: what the three apps stand on."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
