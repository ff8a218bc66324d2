"""Addresses of voting, of the public pages and of the links in mails."""

from django.urls import path
from django.views.generic import RedirectView

from newsletter import api, fame_api, fame_page, reader_api, reader_pages, views, webhooks
from newsletter.feed import feed

urlpatterns = [
    path("", views.home, name="home"),
    path("fame/<slug:slug>", fame_page.fame, name="fame"),
    # Before the archive: a recognizer cannot take these names over.
    path("newsletter/confirm/<str:token>", views.confirm, name="confirm"),
    path("newsletter/leave/<str:token>", views.leave, name="leave"),
    # Below the address to leave: the shared text of a mail then needs one mark for all three.
    path("newsletter/leave/<str:token>/preferences", reader_pages.preferences, name="preferences"),
    path("newsletter/leave/<str:token>/erase", reader_pages.erase, name="erase_reader"),
    path("newsletter/events/<slug:provider>", webhooks.events, name="mail_events"),
    path("newsletter/<slug:slug>/", views.archive, name="newsletter"),
    path("newsletter/<slug:slug>", RedirectView.as_view(pattern_name="newsletter", permanent=True)),
    path("newsletter/<slug:slug>/feed.atom", feed, name="feed"),
    path("newsletter/<slug:slug>/<int:number>/", views.edition, name="edition"),
    path("api/v1/photos/<uuid:photo_id>/vote", api.Votes.as_view(), name="vote"),
    path("api/v1/recognizers/<slug:slug>/ballot", api.Ballots.as_view(), name="ballot"),
    path("api/v1/recognizers/<slug:slug>/pairs", api.PairBallots.as_view(), name="pairs"),
    path("api/v1/pairs", api.Judgements.as_view(), name="judge"),
    path("api/v1/recognizers/<slug:slug>/subscription", reader_api.Subscriptions.as_view(), name="subscription"),
    path("api/v1/recognizers/<slug:slug>/fame", fame_api.Fame.as_view(), name="fame_board"),
    path("api/v1/recognizers/<slug:slug>/fame/teams", fame_api.TeamFame.as_view()),
    path("api/v1/volunteers/me/fame", fame_api.MyFame.as_view()),
    path("api/v1/teams", fame_api.Teams.as_view()),
    path("api/v1/volunteers/me/team", fame_api.MyTeam.as_view()),
    path("api/v1/volunteers/me/team/code", fame_api.MyTeamsCode.as_view()),
]
