"""Before it starts: can this installation sign manifests that phones believe, and do its settings name machines?"""

import time
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from training import cluster, keys
from training.errors import BadCluster, KeySetProblem, SigningKeyProblem
from training.keys import MEND, signing_key


@register
def signing_key_is_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """photorally.E151: no usable Ed25519 key. Under VAR_DIR one is made."""
    try:
        signing_key()
    except SigningKeyProblem as problem:
        return [Error(problem.detail.removesuffix(MEND).strip(), hint=MEND, id="photorally.E151")]
    return []


@register
def phones_believe_the_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """photorally.E155: the set in KEYS_FILE does not make phones believe the signing key; W155: not for much longer."""
    now = time.time()
    try:
        _, document = keys.present()
        keys.fits(document, now=now)
    except SigningKeyProblem:
        return []  # E151 has said it
    except KeySetProblem as problem:
        return [Error(f"KEYS_FILE: {problem.detail}", hint=keys.MEND_SET, id="photorally.E155")]
    left_s = keys.ends_at(document) - now
    if left_s > settings.KEYS_WARN_S:
        return []
    return [
        Warning(
            f"In {left_s / 86_400:.0f} days phones will refuse all manifests: key set {document.set.version} or its key ends.",
            hint="Sign the set anew with `manage.py keys sign`, or with `manage.py keys rotate online` if the key itself ends.",
            id="photorally.W155",
        )
    ]


@register
def cluster_can_be_read(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """photorally.E153: TF_CONFIG names no machines."""
    try:
        cluster.parse(settings.TF_CONFIG)
    except BadCluster as problem:
        return [Error(problem.detail, hint="See docs/several-machines.md.", id="photorally.E153")]
    return []
