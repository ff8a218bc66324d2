"""PHONE: the whole life of the app against the HTTP API, as a reference for app developers.

phone = Phone("https://photorally.example", folder=Path("data"))
phone.register(consent=True, handle="Ada")
photo = phone.send(jpeg, recognizer="groceries", label="apple")
phone.update_model("groceries")
phone.classify("groceries", jpeg)  # [("apple", 0.93), …]
"""

import json
import resource
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from clients import canaries, resume
from clients.calls import BROKEN, Http, TryLater
from clients.frames import Frames
from clients.manifest import Offer
from clients.model import ModelFolder
from clients.trust import Keyring
from clients.vision import Network, cold_start_ms, prepare, shrunk

APP_VERSION = "1.0"
POLL_S = 0.5  # seconds between two looks at a photo's state


class Phone:
    """One device: a volunteer's token and the models, kept in `folder`. Calls raise ServerRefused or TryLater."""

    def __init__(
        self,
        base_url: str,
        *,
        folder: Path,
        model_name: str = "reference phone",
        app: str = APP_VERSION,
        platform: str = sys.platform,
        tier: str = "",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        root: Mapping[str, Any] | None = None,  # the root's public key that ships with the app; None: pinned at first use
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.model_name = model_name
        self.app, self.platform, self.tier = app, platform, tier
        self.http = Http(base_url, sleep=sleep)
        self.keyring = Keyring(folder / "trust.json", self.http, clock=clock, root=root)
        self._sleep = sleep
        self._networks: dict[str, tuple[Offer, Network]] = {}  # by recognizer
        account = folder / "account.json"
        if account.exists():
            self.http.token = json.loads(account.read_text())["token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.http.session.close()

    # ---- joining ---------------------------------------------------------------------------------------------
    def register(self, *, consent: bool, handle: str | None = None) -> str:
        """Join; returns the volunteer's id. Not repeated after a lost answer: that might make two volunteers."""
        asked = {"consent": consent} | ({"handle": handle} if handle else {})
        answer = self.http.call("POST", "api/v1/volunteers", json=asked, repeatable=False).json()
        account = self.folder / "account.json"
        account.touch(mode=0o600)  # the token is a password
        account.write_text(json.dumps({"id": answer["id"], "token": answer["token"]}))
        self.http.token = answer["token"]
        return str(answer["id"])

    # ---- photos ----------------------------------------------------------------------------------------------
    def recognizers(self) -> list[dict[str, Any]]:
        """What there is to recognise: slug, name, description, labels [{slug, name}]."""
        answer: list[dict[str, Any]] = self.http.call("GET", "api/v1/recognizers").json()
        return answer

    def fitted(self, photo: bytes, *, recognizer: str) -> bytes:
        """The photo as small as the server has measured to be enough; as it is where it says nothing, or that saves nothing."""
        hint = next((each.get("upload") for each in self.recognizers() if each["slug"] == recognizer), None)
        small = shrunk(photo, **hint) if hint else photo
        return small if len(small) < len(photo) else photo

    def challenge(self, recognizer: str) -> dict[str, Any]:
        """Today's challenge: id, day, prompt, setting, labels, proposed_because."""
        answer: dict[str, Any] = self.http.call("GET", f"api/v1/recognizers/{recognizer}/challenge").json()
        return answer

    def send(
        self, photo: bytes, *, recognizer: str, label: str, challenge: int | None = None, photo_id: uuid.UUID | None = None
    ) -> uuid.UUID:
        """Upload one photo; returns its UUID. Choose the UUID yourself and keep it until this returns: a repetition
        with the same UUID, minutes or restarts later, never makes a second photo.
        """
        photo_id = photo_id or uuid.uuid4()
        query = {"recognizer": recognizer, "label": label} | ({"challenge": str(challenge)} if challenge else {})
        if len(photo) > resume.RESUMED_BYTES:
            resume.send_resumable(self.http, photo, photo_id=photo_id, **query)
            return photo_id
        headers = {"Content-Type": content_type(photo)}
        self.http.call("PUT", f"api/v1/photos/{photo_id}", params=query, data=photo, headers=headers)
        return photo_id

    def photo(self, photo_id: uuid.UUID) -> dict[str, Any]:
        """What became of one's photo: state, decision and more."""
        answer: dict[str, Any] = self.http.call("GET", f"api/v1/photos/{photo_id}").json()
        return answer

    def wait_until_seen(self, photo_id: uuid.UUID, *, limit_s: float = 60) -> dict[str, Any]:
        """The photo once a worker has looked at it (pending, broken, …). Raises TryLater after `limit_s` seconds."""
        waited = 0.0
        while (photo := self.photo(photo_id))["state"] == "received":
            if waited >= limit_s:
                raise TryLater(f"Nobody has looked at photo {photo_id} for {limit_s:.0f} s: is a worker running?")
            self._sleep(POLL_S)
            waited += POLL_S
        return photo

    def withdraw(self, photo_id: uuid.UUID) -> dict[str, Any]:
        """Take a photo back; returns the receipt."""
        answer: dict[str, Any] = self.http.call("DELETE", f"api/v1/photos/{photo_id}").json()
        return answer

    def takeout(self, path: Path) -> None:
        """Save everything the server holds about this volunteer as a zip at `path`. Raises TryLater for one that broke off."""
        part = path.with_name(f"{path.name}.part")
        try:
            with self.http.call("GET", "api/v1/volunteers/me/export", stream=True) as answer, part.open("wb") as file:
                for chunk in answer.iter_content(64 * 2**10):
                    file.write(chunk)
            if not zipfile.is_zipfile(part):  # its directory comes last: without it the end is missing
                raise TryLater("The takeout came incomplete.")
            part.rename(path)
        except BROKEN as error:
            raise TryLater(f"The takeout broke off: {error}") from error
        finally:
            part.unlink(missing_ok=True)

    # ---- votes -----------------------------------------------------------------------------------------------
    def ballot(self, recognizer: str) -> list[dict[str, Any]]:
        """Photos that ask for this volunteer's vote: id, label, image (address), alt."""
        answer: list[dict[str, Any]] = self.http.call("GET", f"api/v1/recognizers/{recognizer}/ballot").json()["photos"]
        return answer

    def vote(self, photo_id: uuid.UUID | str, *, like: bool) -> None:
        """Is it a good find? The same volunteer's second answer replaces the first."""
        self.http.call("POST", f"api/v1/photos/{photo_id}/vote", json={"like": like})

    # ---- the model -------------------------------------------------------------------------------------------
    def model(self, recognizer: str, channel: str = "stable") -> ModelFolder:
        """Where this phone keeps its model of `recognizer`."""
        return ModelFolder(
            self.folder / "models" / recognizer / channel,
            self.http,
            recognizer=recognizer,
            channel=channel,
            device=self.device,
            app=self.app,
            keyring=self.keyring,
            platform=self.platform,
            tier=self.tier,
        )

    @property
    def device(self) -> str:
        """A random id for rollouts and benchmarks: not the volunteer's, and free to change."""
        path = self.folder / "device"
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        return path.read_text()

    def update_model(self, recognizer: str) -> bool:
        """Follow the stable channel; True if a new file came in. Raises a `clients.refusals.Refused` and keeps the old."""
        return self.model(recognizer).update()

    def classify(self, recognizer: str, photo: bytes) -> list[tuple[str, float]]:
        """(label slug, score) by falling score, for the file of a photo."""
        offer, network = self._loaded(recognizer)
        scores = network.scores(prepare(photo, offer.size))
        ranked = sorted(zip(offer.labels, scores, strict=True), key=lambda pair: -pair[1])
        return [(slug, float(score)) for (slug, _), score in ranked]

    def frames(self, recognizer: str) -> Frames:
        """What joins the frames of a view to one answer: feed it `watch` for each."""
        return Frames(self._loaded(recognizer)[0].confidence)

    def watch(self, recognizer: str, frame: bytes, seen: Frames) -> str | None:
        """The label slug after one more frame (the file of a picture); None: not sure."""
        offer, network = self._loaded(recognizer)
        answer = seen.see(network.scores(prepare(frame, offer.size)))
        return None if answer is None else offer.labels[answer][0]

    def report_benchmark(
        self, recognizer: str, *, answers: int = 0, corrections: int = 0, seen: Iterable[Frames] = ()
    ) -> dict[str, Any]:
        """Measure the model on this device, canaries included where there are some, and tell the server. `answers` of this
        model did the app show, and of them the user corrected `corrections`; the views `seen` with it tell how still its
        videos are: numbers alone, not which.
        """
        offer, network = self._loaded(recognizer)
        views, right = list(seen), None
        if offer.canaries is not None:
            tiles = canaries.fetched(offer.canaries, self.model(recognizer).folder, self.http)
            right = round(canaries.share_right(offer.canaries, tiles, network), 4)
        report = {
            "artifact_sha256": offer.sha256,
            "version": offer.version,
            "device": self.device,
            "device_model": self.model_name,
            "platform": self.platform,
            "tier": self.tier,
            "cold_start_ms": round(cold_start_ms(self.model(recognizer).file()), 3),
            "answers": answers,
            "corrections": corrections,
            "frames": sum(view.stood for view in views),
            "frame_changes": sum(view.changes for view in views),
            "latency_ms": round(network.latency_ms(), 3),
            "memory_mb": round(peak_memory_mb(), 1),
            "canary_accuracy": right,
        }
        answer: dict[str, Any] = self.http.call("POST", f"api/v1/recognizers/{recognizer}/benchmarks", json=report).json()
        return answer

    def _loaded(self, recognizer: str) -> tuple[Offer, Network]:
        """The present model in memory; its file is verified when it is loaded. Raises LookupError before the first update."""
        folder = self.model(recognizer)
        offer = folder.current
        loaded = self._networks.get(recognizer)
        if offer is None or loaded is None or loaded[0] != offer:
            file = folder.file()
            assert offer is not None  # file() has raised otherwise
            loaded = self._networks[recognizer] = (offer, Network(file))
        return loaded


def content_type(photo: bytes) -> str:
    """What the bytes say they are; the server looks for itself."""
    if photo.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if photo.startswith(b"RIFF") and photo[8:12] == b"WEBP":
        return "image/webp"
    return "image/jpeg"


def peak_memory_mb() -> float:
    """This process's largest resident size in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
