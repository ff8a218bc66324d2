"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery
from newsletter.models.editions import Edition, EditionEntry
from newsletter.models.readers import Subscriber
from newsletter.models.votes import Comparison, KnownPair, PhotoScore, Ranking, Vote

__all__ = [
    "Comparison",
    "Delivery",
    "Edition",
    "EditionEntry",
    "KnownPair",
    "PhotoScore",
    "Ranking",
    "Subscriber",
    "Vote",
]
