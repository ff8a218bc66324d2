"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery
from newsletter.models.editions import Edition, EditionEntry
from newsletter.models.fame import (
    FameBadge,
    FameBoard,
    FameBook,
    FameDay,
    FameLine,
    FameMark,
    FamePreference,
    Team,
    TeamMember,
)
from newsletter.models.readers import Subscriber
from newsletter.models.votes import Vote

__all__ = [
    "Delivery",
    "Edition",
    "EditionEntry",
    "FameBadge",
    "FameBoard",
    "FameBook",
    "FameDay",
    "FameLine",
    "FameMark",
    "FamePreference",
    "Subscriber",
    "Team",
    "TeamMember",
    "Vote",
]
