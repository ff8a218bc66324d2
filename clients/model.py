"""PHONE: the model that a phone runs, and how a newer one takes its place: whole and verified, or not at all."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from clients import canaries, files, refusals
from clients.calls import BROKEN, Http, TryLater, text_of
from clients.encodings import BadEncoding, decoded, wanted
from clients.manifest import TYPE, Offer, judge
from clients.signatures import Envelope
from clients.trust import Keyring

DOWNLOAD_ATTEMPTS = 5  # connections one file may take; each resumes where the last one broke


class ModelFolder:
    """One recognizer's model on this phone: `manifest.json`, as verified, `<sha256>.tflite`, and canaries, `<sha256>.png`."""

    def __init__(
        self,
        folder: Path,
        http: Http,
        *,
        recognizer: str,
        channel: str,
        device: str,
        app: str,
        keyring: Keyring,
        platform: str = "",
        tier: str = "",
    ) -> None:
        self.folder = folder
        self.http = http
        self.recognizer, self.channel, self.device, self.app = recognizer, channel, device, app
        self.keyring = keyring
        self.platform, self.tier = platform, tier
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def current(self) -> Offer | None:
        """What this phone runs; None before the first download."""
        kept = self._kept()
        return Offer.of(kept["payload"], tier=self.tier) if kept else None

    def file(self) -> Path:
        """The model's file, its bytes checked anew: storage decays too. Raises LookupError, WrongDigest."""
        offer = self.current
        if offer is None:
            raise LookupError(f"This phone has no {self.recognizer} model yet: update first.")
        path = self._path(offer)
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != offer.sha256:
            path.unlink(missing_ok=True)  # the next update downloads again; the manifest stays, and with it the version
            raise refusals.WrongDigest("The stored model is damaged. It was removed: update again.")
        return path

    def update(self) -> bool:
        """Follow the channel; True if another file came in. Whatever goes wrong, the present model stays.

        Raises a Refused (the offer is not to be trusted or not for us), ServerRefused or TryLater.
        """
        kept = self._kept()
        about = {"app": self.app, "platform": self.platform, "tier": self.tier}  # so that it is offered what it can run
        query = urlencode({"channel": self.channel, "device": self.device, **about})
        known = {"If-None-Match": kept["etag"]} if kept else {}
        path = f"api/v1/recognizers/{self.recognizer}/manifest?{query}"
        with self.http.call("GET", path, headers=known, stream=True, authorized=False) as response:
            if response.status_code == 304 and kept:
                token, etag = str(kept["token"]), str(kept["etag"])  # judged again: it may have expired meanwhile
            else:
                token, etag = text_of(response).strip(), response.headers.get("ETag", "")
        keys, envelope = self.keyring.keys(), Envelope.read(token, TYPE)
        now = self.keyring.now()
        payload = envelope.open(keys.signer(envelope.kid, now=now))
        # A version that only a revoked key vouched for binds nobody: a thief sets it as high as it goes.
        bound = kept is not None and kept.get("kid") not in keys.revoked
        offer, have = Offer.of(payload, tier=self.tier), self.current if bound else None
        judge(offer, recognizer=self.recognizer, channel=self.channel, app=self.app, now=now, have=have)
        fresh = not self._path(offer).exists()
        if fresh:
            self._download(offer)
        told = {"etag": etag, "token": token, "kid": envelope.kid, "payload": payload}
        files.replace(self._manifest, json.dumps(told).encode())
        self.keyring.saw(offer.issued_at)
        for other in self.folder.glob("*.tflite*"):
            if other != self._path(offer):
                other.unlink()
        return fresh

    # ---- the file --------------------------------------------------------------------------------------------
    def _download(self, offer: Offer) -> None:
        """Fetch to `.part`, resuming what a broken connection left, verify, rename.

        Raises WrongLength, WrongDigest, TryLater.
        """
        part = self._path(offer).with_suffix(".part")
        have, smaller = self._present(), True
        for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
            try:
                self._fetch_rest(offer, part, have, smaller=smaller)
            except BadEncoding:
                smaller = False
                part.unlink(missing_ok=True)  # nobody knows what came out of it
            except BROKEN:
                pass  # what came so far stays in `.part`
            if part.exists() and part.stat().st_size == offer.bytes:
                break
            self.http.pause(attempt)
        else:
            raise TryLater(f"The download broke {DOWNLOAD_ATTEMPTS} times; it goes on from there next time.")
        if hashlib.sha256(part.read_bytes()).hexdigest() != offer.sha256:
            part.unlink()
            raise refusals.WrongDigest(f"Version {offer.version}'s file does not have the manifest's SHA-256.")
        self._prove(offer, part)
        part.rename(self._path(offer))

    def _present(self) -> bytes | None:
        """The file that the phone runs, by which the next one can be told."""
        try:
            return self.file().read_bytes()
        except (LookupError, OSError, refusals.Refused):
            return None

    def _fetch_rest(self, offer: Offer, part: Path, have: bytes | None, *, smaller: bool) -> None:
        """One connection: append to `part` what is missing, never more than the manifest's length. What a broken connection
        has left is a beginning of the file itself, however it came: the rest is asked for as it is."""
        there = part.stat().st_size if part.exists() else 0
        if there > offer.bytes:
            part.unlink()
            there = 0
        if there == offer.bytes:
            return
        headers = wanted(have) if smaller and not there else {"Accept-Encoding": "identity"}
        if there:
            headers["Range"] = f"bytes={there}-"
        with self.http.call("GET", offer.url, headers=headers, stream=True, authorized=False) as response:
            resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {there}-")
            with part.open("ab" if resumed else "wb") as file:
                there = there if resumed else 0
                for chunk in decoded(response, have):
                    there += len(chunk)
                    if there > offer.bytes:
                        break
                    file.write(chunk)
        if there > offer.bytes:
            part.unlink()
            raise refusals.WrongLength(f"Version {offer.version}'s file is longer than {offer.bytes} bytes.")
        encoded = "Content-Encoding" in response.headers
        if not resumed and there < offer.bytes and (encoded or response.headers.get("Content-Length") == str(there)):
            part.unlink()  # the answer was whole: this is no broken connection
            raise refusals.WrongLength(f"Version {offer.version}'s file has {there} bytes, not {offer.bytes}.")

    def _prove(self, offer: Offer, part: Path) -> None:
        """Ask the downloaded file the canaries before it takes the old one's place. Raises WrongAnswers; then it is gone."""
        if offer.canaries is None:
            return
        tiles = canaries.fetched(offer.canaries, self.folder, self.http)
        try:
            canaries.prove(offer.canaries, tiles, part)
        except refusals.WrongAnswers:
            part.unlink()
            raise

    # ---- what is kept ----------------------------------------------------------------------------------------
    @property
    def _manifest(self) -> Path:
        return self.folder / "manifest.json"

    def _path(self, offer: Offer) -> Path:
        return self.folder / f"{offer.sha256}.tflite"

    def _kept(self) -> Mapping[str, Any] | None:
        try:
            kept: Mapping[str, Any] = json.loads(self._manifest.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return kept
