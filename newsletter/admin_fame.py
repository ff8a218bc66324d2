"""FAME, on screen: moderators rename or dissolve teams. Everything else is counted, or its volunteer's own."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from collector.volunteers import HANDLE
from config.errors import Problem
from newsletter import fame_teams
from newsletter.models import Team


class TeamForm(forms.ModelForm):
    class Meta:
        model = Team
        fields = ["name"]

    def clean_name(self) -> str:
        """The rules of fame_teams, told beside the field."""
        name = self.cleaned_data["name"].strip()
        same = Team.objects.filter(name_key=name.casefold()[:80]).exclude(pk=self.instance.pk)
        if not HANDLE.fullmatch(name) or same.exists():
            raise forms.ValidationError("Another team is called so, or it is too short.")
        return name


@admin.register(Team)
class TeamAdmin(ModelAdmin):
    """Deleting one dissolves it: its members stay volunteers without a team."""

    form = TeamForm
    list_display = ["name", "size", "made_at"]
    search_fields = ["name"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # volunteers make them, and get the code

    @admin.display(description="members")
    def size(self, team: Team) -> int:
        return team.members.count()

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        try:
            fame_teams.rename(team=obj, name=obj.name)
        except Problem as problem:  # another moderator was faster
            self.message_user(request, f"{problem.title} {problem.detail}", "ERROR")
