"""RELEASE, before it starts: can this installation sign manifests?"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from training.errors import SigningKeyProblem
from training.keys import MEND, signing_key


@register
def signing_key_is_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """photorally.E151: no usable Ed25519 key. Under VAR_DIR one is made."""
    try:
        signing_key()
    except SigningKeyProblem as problem:
        return [Error(problem.detail.removesuffix(MEND).strip(), hint=MEND, id="photorally.E151")]
    return []
