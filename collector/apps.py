"""PHONE → INTAKE → MODERATION."""

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    name = "collector"
    verbose_name = "Photos and moderation"

    def ready(self) -> None:
        import config.checks  # noqa: F401  registers the system checks: config itself is no app
