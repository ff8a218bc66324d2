"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery, DomainPace, Intervention
from newsletter.models.editions import Edition, EditionEntry
from newsletter.models.readers import Subscriber
from newsletter.models.votes import Vote

__all__ = ["Delivery", "DomainPace", "Edition", "EditionEntry", "Intervention", "Subscriber", "Vote"]
