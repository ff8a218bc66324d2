"""Addresses of manifests, keys, files and reports."""

from django.urls import path

from training import api

urlpatterns = [
    path("api/v1/recognizers/<slug:slug>/manifest", api.Manifest.as_view(), name="manifest"),
    path("api/v1/recognizers/<slug:slug>/benchmarks", api.Benchmarks.as_view(), name="benchmarks"),
    path(".well-known/photorally-keys.json", api.Keys.as_view(), name="manifest-keys"),
    path("blobs/<str:sha256>", api.Blob.as_view(), name="blob"),
]
