"""The schema against the running API: Schemathesis with all its checks, also over several calls, finds nothing to object to."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving import web_process

EXAMPLES = 8  # of each operation and phase: half a minute; by hand take a hundred


@pytest.mark.django_db(transaction=True)
def test_schemathesis_finds_no_failure_in_the_running_api(recognizer: Any, token: str, tmp_path: Path) -> None:
    # So many calls a minute come from one address here and from no phone.
    limits = {"PHOTO_REQUESTS_PER_MINUTE": "100000", "PHOTO_REQUESTS_PER_ADDRESS_MINUTE": "100000"}
    with web_process(tmp_path, **limits) as url:
        # erase_me would end the token that all other calls are made with; tests/test_collector_lifecycle.py erases.
        options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--exclude-operation-id", "erase_me"]
        options += ["--header", f"Authorization: Token {token}", "--continue-on-failure", "--no-color"]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/api/schema/", *options],
            cwd=tmp_path,  # no configuration but this
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "ERROR" not in (tmp_path / "log").read_text()
