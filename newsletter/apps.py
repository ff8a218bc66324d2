"""VOTES → RANKING → EDITION → INBOX."""

from django.apps import AppConfig


class NewsletterConfig(AppConfig):
    name = "newsletter"
    verbose_name = "Newsletter"

    def ready(self) -> None:
        from newsletter import receivers  # noqa: F401  importing them registers them
