"""What a voter, a reader or an editor can do wrong, each with its facts and the way out."""

from config.errors import Problem


class OwnPhoto(Problem):
    status, code, title = 403, "own-photo", "Nobody votes on a photo of their own."


class NotVotable(Problem):
    status, code, title = 404, "not-votable", "There is no accepted photo of this id to vote on."


class StalePair(Problem):
    status, code, title = 409, "stale-pair", "This pair was not shown to you today."


class NotOfThePair(Problem):
    status, code, title = 422, "not-of-the-pair", "This photo is not one of the two."


class NothingToShow(Problem):
    status, code, title = 409, "nothing-to-show", "There is no photo to print."


class Contended(Problem):
    status, code, title = 409, "contended", "Others composed editions of this recognizer at the same moment. Try again."


class NotADraft(Problem):
    status, code, title = 409, "not-a-draft", "This edition is frozen already."


class NotBeingSent(Problem):
    status, code, title = 409, "not-being-sent", "This edition's sending is not at that point."


class Held(Problem):
    status, code, title = 409, "held", "An editor holds this edition."


class NoSuchEntry(Problem):
    status, code, title = 404, "no-such-entry", "This photo is not in the edition, or not to be had for it."


class NoAddress(Problem):
    status, code, title = 409, "no-address", "Your account has no mail address."


class NotSent(Problem):
    status, code, title = 502, "not-sent", "The mail server did not take the test."


class EditionTooLong(Problem):
    status, code, title = 422, "edition-too-long", "The mail of this edition would be cut off."


class UnknownEdition(Problem):
    status, code, title = 404, "unknown-edition", "There is no such edition."


class NotAnAddress(Problem):
    status, code, title = 422, "not-an-address", "This is not a mail address."


class BadLink(Problem):
    status, code, title = 404, "bad-link", "This link is not one of ours."


class ExpiredLink(Problem):
    status, code, title = 400, "expired-link", "This link no longer works."


class NothingChosen(Problem):
    status, code, title = 409, "nothing-chosen", "Choose what you want to get."


class NotSubscribed(Problem):
    status, code, title = 409, "not-subscribed", "No mail goes to this address."


class NoSubscription(Problem):
    status, code, title = 404, "no-subscription", "You have not asked for this newsletter."


class UnknownPage(Problem):
    status, code, title = 404, "unknown-page", "The archive has no such page."


class UnknownProvider(Problem):
    status, code, title = 404, "unknown-provider", "No events are taken from this mail provider."


class ForgedEvent(Problem):
    status, code, title = 400, "forged-event", "This event was not sent by the mail provider."


class UnreadableEvent(Problem):
    status, code, title = 400, "unreadable-event", "This event cannot be read."


class UnreadableFile(Problem):
    status, code, title = 422, "unreadable-file", "This file of addresses cannot be read."


class ConsentMissing(Problem):
    status, code, title = 422, "consent-missing", "Say where and when these people agreed."


class UnknownBoard(Problem):
    status, code, title = 404, "unknown-board", "There is no leaderboard of such a label."


class NameTaken(Problem):
    status, code, title = 409, "name-taken", "Somebody else is called so already."


class NotATeamName(Problem):
    status, code, title = 422, "not-a-team-name", "This cannot be the name of a team."


class InATeam(Problem):
    status, code, title = 409, "in-a-team", "You are in a team already."


class InNoTeam(Problem):
    status, code, title = 404, "in-no-team", "You are in no team."


class TeamFull(Problem):
    status, code, title = 409, "team-full", "This team has no place left."


class TeamCodeNotValid(Problem):
    status, code, title = 403, "team-code-not-valid", "This code lets nobody into a team."
