"""Addresses of the phone's API, public pictures and probes."""

from django.urls import path

from collector import api, probes, tus, views

urlpatterns = [
    path("api/v1/volunteers", api.Volunteers.as_view()),
    path("api/v1/volunteers/me", api.Me.as_view()),
    path("api/v1/volunteers/me/export", api.Takeout.as_view()),
    path("api/v1/erasures/<uuid:erasure_id>", api.Erasures.as_view()),
    path("api/v1/volunteers/me/invitations", api.MyInvitations.as_view()),
    path("api/v1/recognizers", api.Recognizers.as_view()),
    path("api/v1/recognizers/<slug:slug>/challenge", api.TodaysChallenge.as_view()),
    path("api/v1/photos/<uuid:photo_id>", api.Photos.as_view(), name="photo"),
    path("api/v1/photos/<uuid:photo_id>/upload", api.DirectUploads.as_view()),
    path("api/v1/tus/", tus.Uploads.as_view(), name="tus"),
    path("api/v1/tus/<uuid:upload_id>", tus.OneUpload.as_view(), name="tus_upload"),
    path("media/<str:sha256>", views.Media.as_view(), name="media"),
    path("healthz", probes.Healthz.as_view()),
    path("readyz", probes.Readyz.as_view()),
    path("metrics", probes.Metrics.as_view()),
]
