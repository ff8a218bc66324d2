"""Before it starts: can this installation sign manifests, and do its settings name machines that train together?"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from training import cluster
from training.errors import BadCluster, SigningKeyProblem
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
def cluster_can_be_read(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """photorally.E153: TF_CONFIG names no machines."""
    try:
        cluster.parse(settings.TF_CONFIG)
    except BadCluster as problem:
        return [Error(problem.detail, hint="See docs/several-machines.md.", id="photorally.E153")]
    return []
