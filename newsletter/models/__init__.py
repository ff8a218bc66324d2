"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery, DomainPace, Intervention
from newsletter.models.editions import Edition, EditionChange, EditionEntry
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
from newsletter.models.readers import MailEvent, Request, Subscriber, Suppression
from newsletter.models.schedule import Schedule, Slot
from newsletter.models.votes import Comparison, KnownPair, PhotoScore, Ranking, Vote

__all__ = [
    "Comparison",
    "Delivery",
    "DomainPace",
    "Edition",
    "EditionChange",
    "EditionEntry",
    "FameBadge",
    "FameBoard",
    "FameBook",
    "FameDay",
    "FameLine",
    "FameMark",
    "FamePreference",
    "Intervention",
    "KnownPair",
    "MailEvent",
    "PhotoScore",
    "Ranking",
    "Request",
    "Schedule",
    "Slot",
    "Subscriber",
    "Suppression",
    "Team",
    "TeamMember",
    "Vote",
]
