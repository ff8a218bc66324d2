"""A photo with its label."""

from django.db import models


class Photo(models.Model):
    image = models.ImageField(upload_to="photos/%Y/%m/%d")
    label = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "photos"

    def __str__(self) -> str:
        return self.image.name
