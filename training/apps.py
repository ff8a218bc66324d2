"""SNAPSHOT → FINE-TUNE → EVALUATE → EXPORT → GATE → RELEASE → PHONE."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = "Nights and releases"

    def ready(self) -> None:
        from training import checks, objects, receivers  # noqa: F401  importing them registers them
