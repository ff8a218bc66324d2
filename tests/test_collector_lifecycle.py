"""PHONE → INTAKE, as a state machine: whatever volunteers and bad networks do in whatever order, rows and bytes agree."""

import hashlib
import uuid
from typing import Any

import pytest
from django.conf import settings as django_settings
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from rest_framework.test import APIClient

from collector.models import Label, Photo, Recognizer
from collector.storage import store
from collector.volunteers import register
from config.duties import work_once
from tests.drawing import jpeg

PICTURES = [jpeg(seed, size=(96, 64)) for seed in range(4)]
KINDS = {"originals": "sha256", "views": "view_sha256", "thumbnails": "thumbnail_sha256"}
SEEN = {"received", "pending"}


class Lifecycle(RuleBasedStateMachine):
    """The model: who sent which picture under which UUID, which are living, and which pictures were ever taken back."""

    @initialize()
    def begin(self) -> None:
        self.slug = f"r{uuid.uuid4().hex[:12]}"
        made = Recognizer.objects.create(slug=self.slug, name="Things")
        Label.objects.create(recognizer=made, slug="thing", name="Thing", position=0)
        # A machine starts where the last one left the database: pictures that were withdrawn there are new here.
        self.noise = uuid.uuid4().int % 200 + 1
        self.people: dict[str, tuple[APIClient, bool]] = {}
        self.photos: dict[uuid.UUID, tuple[str, int, bool]] = {}  # person, picture, living
        self.buried: set[int] = set()
        for name in ("Ada", "Grace"):
            self.join(name)

    def join(self, name: str) -> None:
        client = APIClient()
        _, token = register(consent=True, handle=None, address=str(uuid.uuid4()))
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        self.people[name] = (client, True)

    def body(self, picture: int) -> bytes:
        """The picture as no earlier machine sent it: one value of its quantisation differs."""
        data = bytearray(PICTURES[picture])
        table = data.index(b"\xff\xdb") + 5
        data[table + 60] = self.noise
        data[table + 59] = picture + 1
        data[table + 58 : table + 59] = hashlib.sha256(self.slug.encode()).digest()[:1] or b"\1"
        data[table + 58] = data[table + 58] or 1
        return bytes(data)

    def put(self, name: str, photo_id: uuid.UUID, picture: int) -> Any:
        address = f"/api/v1/photos/{photo_id}?recognizer={self.slug}&label=thing"
        return self.people[name][0].put(address, data=self.body(picture), content_type="image/jpeg")

    def expected(self, name: str, photo_id: uuid.UUID, picture: int) -> int:
        if not self.people[name][1]:
            return 401
        if photo_id in self.photos:
            owner, sent, living = self.photos[photo_id]
            if owner != name:
                return 409
            if not living:
                return 410
            return 200 if sent == picture else 409
        return 410 if picture in self.buried else 201

    @rule(name=st.sampled_from(["Ada", "Grace"]), picture=st.sampled_from(range(4)))
    def send(self, name: str, picture: int) -> None:
        self.send_as(name, uuid.uuid4(), picture)

    @precondition(lambda self: self.photos)
    @rule(name=st.sampled_from(["Ada", "Grace"]), picture=st.sampled_from(range(4)), data=st.data())
    def send_under_a_known_uuid(self, name: str, picture: int, data: Any) -> None:
        self.send_as(name, data.draw(st.sampled_from(sorted(self.photos))), picture)

    @precondition(lambda self: self.photos)
    @rule(data=st.data())
    def send_again(self, data: Any) -> None:
        photo_id = data.draw(st.sampled_from(sorted(self.photos)))
        name, picture, _ = self.photos[photo_id]
        self.send_as(name, photo_id, picture)

    def send_as(self, name: str, photo_id: uuid.UUID, picture: int) -> None:
        answer = self.put(name, photo_id, picture)
        assert answer.status_code == self.expected(name, photo_id, picture), answer.content
        if answer.status_code == 201:
            self.photos[photo_id] = (name, picture, True)
        if answer.status_code in (200, 201):
            assert answer.json()["sha256"] == hashlib.sha256(self.body(picture)).hexdigest()

    @precondition(lambda self: self.photos)
    @rule(name=st.sampled_from(["Ada", "Grace"]), data=st.data())
    def withdraw(self, name: str, data: Any) -> None:
        photo_id = data.draw(st.sampled_from(sorted(self.photos)))
        owner, picture, living = self.photos[photo_id]
        answer = self.people[name][0].delete(f"/api/v1/photos/{photo_id}")
        if not self.people[name][1]:
            assert answer.status_code == 401
        elif owner != name:
            assert answer.status_code == 404
        else:
            assert answer.status_code == 200 and answer.json()["photos"] == living
            self.photos[photo_id] = (owner, picture, False)
            self.buried |= {picture} if living else set()

    @rule(name=st.sampled_from(["Ada", "Grace"]))
    def erase(self, name: str) -> None:
        client, there = self.people[name]
        answer = client.delete("/api/v1/volunteers/me")
        living = {photo_id for photo_id, (owner, _, alive) in self.photos.items() if owner == name and alive}
        if not there:
            assert answer.status_code == 401
            self.photos = {key: value for key, value in self.photos.items() if value[0] != name}
            self.join(name)  # a new account: nothing of the old one is hers
            return
        assert answer.status_code == 200 and answer.json()["photos"] == len(living)
        self.people[name] = (client, False)
        for photo_id in living:
            self.buried.add(self.photos[photo_id][1])
            self.photos[photo_id] = (name, self.photos[photo_id][1], False)

    @rule()
    def work(self) -> None:
        work_once()

    @invariant()
    def rows_are_what_was_acknowledged(self) -> None:
        rows = dict(Photo.objects.filter(recognizer__slug=self.slug).exclude(state="withdrawn").values_list("pk", "state"))
        assert set(rows) == {photo_id for photo_id, (_, _, living) in self.photos.items() if living}
        assert set(rows.values()) <= SEEN

    @invariant()
    def the_store_holds_what_living_photos_need_and_nothing_else(self) -> None:
        for kind, column in KINDS.items():
            needed = set(Photo.objects.exclude(state="withdrawn").exclude(**{column: ""}).values_list(column, flat=True))
            folder = django_settings.STORE_DIR / kind
            assert {path.name for path in folder.glob("*/*")} == needed, kind
            assert all(store().size(f"{kind}/{digest}") for digest in needed)


@pytest.mark.django_db(transaction=True)
def test_whatever_happens_in_whatever_order_rows_and_bytes_agree(settings: Any, tmp_path: Any) -> None:
    settings.STORE_DIR = tmp_path / "store"
    run_state_machine_as_test(Lifecycle, settings=_some)


_some = settings(max_examples=12, stateful_step_count=15)
