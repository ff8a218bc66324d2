"""The end of the demo: what happened, in numbers, and what to open."""

import json
from typing import Any

from django.conf import settings

from demo.day import Day

KEYS = {
    "photos": ("sent", "accepted", "rejected"),
    "model": ("weights", "float_accuracy", "int8_accuracy", "held_out", "int8_bytes", "float_bytes"),
    "release": ("version", "sha256"),
    "phone": ("verified", "accuracy"),
    "edition": ("entries", "sent"),
    "seconds": (),
}


def write_report(report: dict[str, dict[str, Any]]) -> None:
    """VAR_DIR/report.json, whole or not at all; programs read it, so every key of KEYS must be there."""
    for part, keys in KEYS.items():
        missing = [key for key in keys if key not in report[part]]
        assert not missing, f"{part} lacks {missing}"
    path = settings.VAR_DIR / "report.json"
    part_file = path.with_suffix(".part")
    part_file.write_text(json.dumps(report, indent=2) + "\n")
    part_file.rename(path)


def table(day: Day) -> str:
    """What happened."""
    photos, model, phone, edition = (day.report[part] for part in ("photos", "model", "phone", "edition"))
    seconds, release = day.report["seconds"], day.report["release"]
    rows = [
        ("photos", f"{photos['sent']} arrived, {sum(photos['refused'].values())} refused ({', '.join(photos['refused'])})"),
        ("moderation", f"{photos['accepted']} accepted ({photos['relabelled']} relabelled), {photos['rejected']} rejected"),
        (
            "model",
            f"int8 {model['int8_accuracy']:.1%}, float {model['float_accuracy']:.1%} of {model['held_out']} held-out photos",
        ),
        (
            "",
            f"int8 {model['int8_bytes'] / 1e6:.2f} MB, float {model['float_bytes'] / 1e6:.2f} MB; weights: {model['weights']}",
        ),
        ("release", f"version {release['version']}, {release['sha256'][:16]}…"),
        (
            "phone",
            f"{'verified' if phone['verified'] else 'NOT VERIFIED'}; {phone['accuracy']:.1%} of {phone['photos']} new photos",
        ),
        ("", f"{phone['latency_ms']:.1f} ms a photo"),
        ("votes", str(day.report["votes"]["cast"])),
        ("edition", f"{edition['entries']} photos, sent to {edition['sent']} readers"),
        ("time", f"{seconds['all']:.0f} s, of which the night took {seconds['night']:.0f} s"),
    ]
    return "\n".join(f"  {name:<11} {value}" for name, value in rows)


def what_to_open(day: Day, port: str) -> str:
    folder = settings.VAR_DIR.relative_to(settings.BASE_DIR)
    return "\n".join(
        [
            f"  {folder}/report.json   the same numbers for programs",
            f"  {folder}/mail/*.eml    the mails; any mail program opens them",
            f"  make serve VAR_DIR={folder} PORT={port}   then in a browser:",
            f"    {settings.SITE_URL}/newsletter/{day.recognizer}/   the archive",
            f"    {settings.SITE_URL}/admin/   sign in as demo with {day.password}",
        ]
    )
