"""Photos of before get the fingerprints that near-duplicates are looked up in; withdrawn ones become the empty shells they now are."""

from django.db import migrations

BANDS = 4
SHELL = {
    "challenge": None,
    "label": None,
    "sent_sha256": "",
    "sha256": "",
    "content_type": "",
    "bytes": 0,
    "width": 0,
    "height": 0,
    "orientation": 1,
    "taken_hour": None,
    "device_model": "",
    "view_sha256": "",
    "thumbnail_sha256": "",
    "phash_0": None,
    "phash_1": None,
    "phash_2": None,
    "phash_3": None,
    "cluster": None,
    "problem": "",
}


def shells(apps, schema_editor):
    photo, tombstone = apps.get_model("collector", "Photo"), apps.get_model("collector", "Tombstone")
    withdrawn = photo.objects.filter(state="withdrawn")
    living = set(photo.objects.exclude(state="withdrawn").values_list("sha256", flat=True).iterator())
    digests = set(withdrawn.exclude(sha256="").values_list("sha256", flat=True)) - living
    tombstone.objects.bulk_create([tombstone(sha256=digest) for digest in sorted(digests)], ignore_conflicts=True)
    withdrawn.update(**SHELL)


def fingerprints(apps, schema_editor):
    """As collector.duplicates.remember would have made them, oldest photo first."""
    photo, fingerprint = apps.get_model("collector", "Photo"), apps.get_model("collector", "Fingerprint")
    rows = photo.objects.filter(phash_0__isnull=False, cluster__isnull=False).order_by("received_at", "id")
    known = {}
    columns = ("pk", "recognizer_id", "cluster", *(f"phash_{band}" for band in range(BANDS)))
    for pk, recognizer, cluster, *parts in list(rows.values_list(*columns)):
        value = sum(part << 16 * band for band, part in enumerate(parts))
        made = known.get((recognizer, value))
        if made is None:
            text = f"{value:064b}"
            bands = {f"band_{band}": int(text[band::BANDS], 2) for band in range(BANDS)}
            bits = value - 2**64 if value >> 63 else value
            made = fingerprint.objects.create(recognizer_id=recognizer, bits=bits, cluster=cluster, photos=0, **bands)
            known[recognizer, value] = made
        made.photos += 1
        photo.objects.filter(pk=pk).update(fingerprint=made)
    fingerprint.objects.bulk_update(known.values(), ["photos"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("collector", "0002_intake")]
    operations = [
        migrations.RunPython(shells, migrations.RunPython.noop),
        migrations.RunPython(fingerprints, migrations.RunPython.noop),
    ]
