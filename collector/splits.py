"""MODERATION: which split an accepted photo belongs to: decided once, by its group, and never changed.

A group is what could leak from training into the test: all photos of one volunteer (same kitchen, same hand, same camera) and
all near-duplicates, whoever sent them. An import has no volunteer whose habits could leak; its groups are clusters alone.
"""

from collections import Counter

from django.conf import settings
from django.db.models import Q

from collector.models import Label, Photo


def split_for(photo: Photo, label: Label, *, wanted: str = "") -> Photo.Split:
    """The split of the photo's kin; for the first of its group, the one that is `wanted`, or that is furthest below its share.

    A photo that links groups of different splits (its volunteer trains, its twin tests), or is wanted elsewhere than its kin,
    gets Split.NONE: it is left out, since neither group may move any more. Call it with the recognizer's `turn` taken, or two
    kin might be judged at the same time.
    """
    kin = Q(cluster=photo.cluster)
    if photo.source == Photo.Source.PHONE:
        kin |= Q(volunteer=photo.volunteer_id, source=Photo.Source.PHONE)
    placed = Photo.objects.filter(kin, recognizer=photo.recognizer_id).exclude(split__in=("", Photo.Split.NONE))
    splits = set(placed.values_list("split", flat=True).distinct()) | ({wanted} if wanted else set())
    if len(splits) > 1:
        return Photo.Split.NONE
    if splits:
        return Photo.Split(splits.pop())
    return _neediest(photo, label)


def _neediest(photo: Photo, label: Label) -> Photo.Split:
    """Shares are kept over all photos and within the label, the sum decides: every label is tested as soon as it can be.

    The first three groups fill one split each: a young recognizer with few volunteers can be trained *and* tested.
    """
    everyone = Photo.objects.filter(recognizer=photo.recognizer_id, state=Photo.State.ACCEPTED)
    overall = Counter(everyone.values_list("split", flat=True))
    if empty := [split for split in settings.SPLIT_SHARES if not overall[split]]:
        return Photo.Split(empty[0])
    of_label = Counter(everyone.filter(label=label).values_list("split", flat=True))

    def lack(split: str) -> float:
        share = settings.SPLIT_SHARES[split]
        return sum(share * (counts.total() + 1) - counts[split] for counts in (overall, of_label))

    return Photo.Split(max(settings.SPLIT_SHARES, key=lack))
