"""The rows of VOTES → RANKING → EDITION → INBOX, one module for each step."""

from newsletter.models.deliveries import Delivery
from newsletter.models.editions import Edition, EditionEntry
from newsletter.models.readers import MailEvent, Request, Subscriber, Suppression
from newsletter.models.votes import Vote

__all__ = ["Delivery", "Edition", "EditionEntry", "MailEvent", "Request", "Subscriber", "Suppression", "Vote"]
