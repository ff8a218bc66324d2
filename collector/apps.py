"""PHONE → INTAKE → MODERATION."""

from django.apps import AppConfig


class CollectorConfig(AppConfig):
    name = "collector"
    verbose_name = "Photos and moderation"

    def ready(self) -> None:
        import collector.openapi  # noqa: F401  describes the token in the schema
        import config.checks  # noqa: F401  registers the system checks: config itself is no app
