"""PHONE: a large photo goes out by tus, so that a broken connection costs only what was on its way."""

import base64
import uuid
from urllib.parse import urljoin

import requests

from clients.calls import ATTEMPTS, Http, ServerRefused, TryLater

RESUMED_BYTES = 8 * 2**20  # larger photos can be resumed; below, sending again is cheaper than asking where it stopped
VERSION = {"Tus-Resumable": "1.0.0"}
MOVED = frozenset({409, 423})  # another offset, or busy: ask and go on


def send_resumable(http: Http, photo: bytes, *, photo_id: uuid.UUID, **target: str) -> None:
    """Upload `photo`; raises ServerRefused, or TryLater after ATTEMPTS tries in a row that brought nothing forward.

    Where an upload has ended on the server's side, a later call begins a new one: that never makes a second photo.
    """
    values = {"photo": str(photo_id), **target}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    headers = {**VERSION, "Upload-Length": str(len(photo)), "Upload-Metadata": metadata}
    address = urljoin("api/v1/tus/", http.call("POST", "api/v1/tus/", headers=headers).headers["Location"])
    offset, idle = 0, 0
    while True:
        answer = _add(http, address, photo, offset)
        if answer is not None and int(answer.headers["Upload-Offset"]) == len(photo):
            return
        if answer is None:
            http.pause(idle + 1)  # the server may still be storing what came before the break
        reached = int(http.call("HEAD", address, headers=VERSION).headers["Upload-Offset"])
        idle = 0 if reached > offset else idle + 1
        if idle == ATTEMPTS:
            raise TryLater(f"{ATTEMPTS} tries brought nothing beyond byte {offset} of {len(photo)}.")
        offset = reached
        if offset == len(photo):
            return


def _add(http: Http, address: str, photo: bytes, offset: int) -> requests.Response | None:
    """One PATCH with all the rest; None where the connection broke or the server asks to look again."""
    headers = {**VERSION, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    try:
        return http.call("PATCH", address, headers=headers, data=photo[offset:], repeatable=False)
    except TryLater as broken:
        if broken.retry_after_s is not None:
            raise  # asked for more patience than a call has
        return None
    except ServerRefused as refused:
        if refused.status in MOVED or refused.status >= 500:
            return None
        raise
