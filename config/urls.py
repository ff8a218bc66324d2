"""Every address, by app. The API is `/api/v1/…`; pages, blobs and probes stand beside it."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns = [
    path("", include("collector.urls")),
    path("", include("training.urls")),
    path("", include("newsletter.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("admin/", admin.site.urls),
]
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"
