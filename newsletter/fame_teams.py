"""FAME: volunteers make, join and leave teams. A code lets somebody in; only its keyed hash is kept."""

import unicodedata

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from collector.invitations import hash_code, new_code
from collector.limits import of_address, of_volunteer, spend
from collector.models import Volunteer
from collector.volunteers import HANDLE
from newsletter.errors import InATeam, InNoTeam, NameTaken, NotATeamName, TeamCodeNotValid, TeamFull
from newsletter.models import Team, TeamMember


def make(*, volunteer: Volunteer, name: str) -> tuple[Team, str]:
    """Make a team with this volunteer in it; returns the row and the code for others, which is shown now or never.

    Raises NotATeamName, NameTaken, InATeam, LimitReached.
    """
    spend(of_volunteer("teams", volunteer, settings.TEAMS_PER_DAY))
    if TeamMember.objects.filter(volunteer=volunteer).exists():
        raise InATeam("Leave it first: DELETE /api/v1/volunteers/me/team.")
    team, code = Team(), new_code()
    team.code_hash = hash_code(code)
    with transaction.atomic():
        _name(team, name)
        _enter(volunteer, team)
    return team, code


def join(*, volunteer: Volunteer, code: str, address: str) -> Team:
    """Join the team of a code. Right and wrong codes are counted against TEAM_TRIES_PER_DAY, and by network address.

    Raises TeamCodeNotValid, InATeam, TeamFull, LimitReached.
    """
    spend(
        of_volunteer("team codes", volunteer, settings.TEAM_TRIES_PER_DAY),
        of_address("team codes", address, settings.INVITATION_TRIES_PER_DAY),
    )
    with transaction.atomic():
        # The UPDATE takes the team's row: two who join at once are counted one after the other.
        found = Team.objects.filter(code_hash=hash_code(code))
        if not found.update(turn=F("turn") + 1):
            raise TeamCodeNotValid("Check its twelve characters, or ask a member for a new one.")
        team = found.get()
        if team.members.count() >= settings.TEAM_MOST:
            raise TeamFull(f"A team has at most {settings.TEAM_MOST} members.", team=team.name)
        _enter(volunteer, team)
    return team


def leave(*, volunteer: Volunteer) -> None:
    """Leave; a team without members is removed. Raises InNoTeam."""
    with transaction.atomic():
        team = team_of(volunteer=volunteer)
        Team.objects.filter(pk=team.pk).update(turn=F("turn") + 1)  # as in join: nobody joins what is being removed
        TeamMember.objects.filter(volunteer=volunteer).delete()
        if not TeamMember.objects.filter(team=team).exists():
            Team.objects.filter(pk=team.pk).delete()


def renew_code(*, volunteer: Volunteer) -> str:
    """A new code for this volunteer's team; the old one lets nobody in any more. Raises InNoTeam."""
    code = new_code()
    Team.objects.filter(pk=team_of(volunteer=volunteer).pk).update(code_hash=hash_code(code))
    return code


def rename(*, team: Team, name: str) -> None:
    """For moderators. Raises NotATeamName, NameTaken."""
    _name(team, name)


def team_of(*, volunteer: Volunteer) -> Team:
    """Raises InNoTeam."""
    team = Team.objects.filter(members__volunteer=volunteer).first()
    if team is None:
        raise InNoTeam("Make one (POST /api/v1/teams) or join one (POST /api/v1/volunteers/me/team).")
    return team


def _name(team: Team, name: str) -> None:
    line = unicodedata.normalize("NFC", name).strip()
    if not HANDLE.fullmatch(line):  # as for a volunteer's own name: both stand in rankings and in mails
        raise NotATeamName("Use 2 to 40 letters, digits, blanks, dots, hyphens or underscores.", name=name[:80])
    team.name, team.name_key = line, line.casefold()[:80]
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError:
        raise NameTaken("Choose another name for the team.", name=line) from None


def _enter(volunteer: Volunteer, team: Team) -> None:
    try:
        with transaction.atomic():
            TeamMember.objects.create(volunteer=volunteer, team=team)
    except IntegrityError:
        raise InATeam("Leave it first: DELETE /api/v1/volunteers/me/team.") from None
