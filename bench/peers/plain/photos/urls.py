"""POST /photos/ takes a multipart form with `image` and `label`."""

from django.urls import path
from rest_framework.generics import CreateAPIView
from rest_framework.serializers import ModelSerializer

from photos.models import Photo


class PhotoSerializer(ModelSerializer):
    class Meta:
        model = Photo
        fields = ["id", "image", "label", "created_at"]


class CreatePhoto(CreateAPIView):
    queryset = Photo.objects.all()
    serializer_class = PhotoSerializer


urlpatterns = [path("photos/", CreatePhoto.as_view())]
