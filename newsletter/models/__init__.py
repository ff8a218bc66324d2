"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery
from newsletter.models.editions import Edition, EditionChange, EditionEntry
from newsletter.models.readers import Subscriber
from newsletter.models.schedule import Schedule, Slot
from newsletter.models.votes import Vote

__all__ = ["Delivery", "Edition", "EditionChange", "EditionEntry", "Schedule", "Slot", "Subscriber", "Vote"]
