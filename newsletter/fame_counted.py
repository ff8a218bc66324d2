"""FAME: which photos count at all."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from collector.models import Photo, Recognizer


def counted(recognizer: Recognizer) -> QuerySet[Photo]:
    """The photos that count: accepted, sent by a phone, of near-duplicates the first. The same rule as in
    newsletter.fame_rows.DAYS."""
    photos = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, source=Photo.Source.PHONE).order_by()
    same = photos.filter(cluster=OuterRef("cluster"))
    before = Q(received_at__lt=OuterRef("received_at")) | Q(received_at=OuterRef("received_at"), pk__lt=OuterRef("pk"))
    return photos.exclude(Exists(same.filter(before)))
