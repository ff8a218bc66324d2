"""Mail by a provider's HTTP interface: against a stand-in that answers as Postmark documents it. No provider is reached here,
so what real ones do beyond their documentation is not shown."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from collector.models import Recognizer
from newsletter import delivery, mail
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Subscriber
from newsletter.provider import ProviderTransport
from newsletter.transport import Call, Later, Lost, NotBegun, Refused, SmtpTransport, Unreachable, transport
from tests.ports import reserved

TAKEN = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a-e38e-4336-af7d-e6c392c2f817", "To": "ada@example.org"}
Answer = tuple[int, dict[str, Any]] | None


class StandIn(ThreadingHTTPServer):
    """`answer` makes (status, JSON) of a request, or None to break the connection after reading it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict[str, Any]] = []
        self.answer: Callable[[], Answer] = lambda: (200, TAKEN)

    @property
    def url(self) -> str:
        return f"anymail+postmark://?server_token=secret&api_url=http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "token": self.headers["X-Postmark-Server-Token"], **body})
        answer = self.server.answer()
        if answer is None:
            self.connection.close()
            return
        data = json.dumps(answer[1]).encode()
        self.send_response(answer[0])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """A test's output is not a log."""


@pytest.fixture
def postmark() -> Iterator[StandIn]:
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def data(live_photo, recognizer, volunteer) -> bytes:
    """A finished mail, as it would go over SMTP."""
    live_photo()
    return mail.filled(mailing=mail.prepare(edition=made(recognizer)), delivery=row(recognizer))


def made(recognizer: Recognizer):
    from django.utils import timezone

    return compose(recognizer=recognizer, day=timezone.now().date())


def row(recognizer: Recognizer) -> Delivery:
    reader = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state=Subscriber.State.CONFIRMED)
    return Delivery(edition=made(recognizer), subscriber=reader)


def send(server: StandIn, data: bytes, **more: Any):
    over = ProviderTransport(server.url)
    over.open()
    try:
        return over.send(name="a-row", sender="newsletter@localhost", recipient="ada@example.org", data=data, **more)
    finally:
        over.close()


def test_a_provider_gets_both_texts_the_pictures_and_every_header_and_its_name_of_the_mail_is_kept(postmark, data):
    begun: list[bool] = []
    taken = send(postmark, data, begin=lambda meanwhile: begun.append(True))
    (got,) = postmark.requests
    assert (got["path"], got["token"], got["To"]) == ("/email", "secret", "ada@example.org") and begun == [True]
    assert "leave" in got["TextBody"] and "<h1" in got["HtmlBody"]
    headers = {each["Name"]: each["Value"] for each in got["Headers"]}
    assert {"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID", "Auto-Submitted", "Date"} <= set(headers)
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (picture,) = got["Attachments"]
    assert picture["ContentType"] == "image/jpeg" and picture["ContentID"].removeprefix("cid:") in got["HtmlBody"]
    assert taken.provider_id == TAKEN["MessageID"]


@pytest.mark.parametrize(
    "answer, raised",
    [
        (
            (
                422,
                {
                    "ErrorCode": 406,
                    "Message": "Found inactive addresses: ada@example.org. Inactive recipients are …",
                },
            ),
            Refused,
        ),
        ((422, {"ErrorCode": 300, "Message": "Invalid email request"}), Refused),
        ((401, {"ErrorCode": 10, "Message": "No Account or Server API tokens were supplied"}), Unreachable),
        ((429, {"ErrorCode": 429, "Message": "Too many requests"}), Later),
        ((503, {"ErrorCode": 100, "Message": "Maintenance"}), Later),
    ],
)
def test_what_a_provider_refuses_is_told_apart(postmark, data, answer, raised):
    postmark.answer = lambda: answer
    with pytest.raises(raised):
        send(postmark, data)
    assert len(postmark.requests) == 1


@pytest.mark.parametrize("answer", [None, (500, {"ErrorCode": 1, "Message": "?"}), (504, {"ErrorCode": 1, "Message": "?"})])
def test_where_nobody_knows_it_is_said_so(postmark, data, answer):
    postmark.answer = lambda: answer
    with pytest.raises(Lost) as lost:
        send(postmark, data)
    assert lost.value.handed_over


def test_a_provider_that_is_not_there_has_been_told_nothing(data):
    with reserved(1) as (port,):
        over = ProviderTransport(f"anymail+postmark://?server_token=secret&api_url=http://127.0.0.1:{port}/")
        over.open()
        with pytest.raises(Unreachable):
            over.send(name="a-row", sender="newsletter@localhost", recipient="ada@example.org", data=data)
        over.close()


def test_a_mail_that_must_not_be_begun_does_not_leave(postmark, data):
    def no(meanwhile: Call) -> None:
        raise NotBegun

    with pytest.raises(NotBegun):
        send(postmark, data, begin=no)
    assert postmark.requests == []


def test_an_edition_goes_out_by_a_provider(postmark, settings, live_photo, recognizer):
    settings.EMAIL_URL = postmark.url
    live_photo()
    Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state=Subscriber.State.CONFIRMED)
    edition = made(recognizer)
    freeze(edition=edition)
    assert delivery.deliver(edition_id=edition.pk) == 1
    kept = Delivery.objects.get()
    assert (kept.state, kept.provider_id) == (Delivery.State.SENT, TAKEN["MessageID"])
    assert delivery.deliver(edition_id=edition.pk) == 0 and len(postmark.requests) == 1


def test_email_url_names_the_provider_or_says_how_it_is_written(settings):
    settings.EMAIL_URL = "anymail+mailgun://?api_key=key&sender_domain=mail.example.org"
    assert isinstance(transport(), ProviderTransport)
    settings.EMAIL_URL = "smtp://localhost:25"
    assert isinstance(transport(), SmtpTransport)
    for wrong in ("anymail+nobody://?x=1", "anymail+postmark://", "anymail+postmark://?="):
        settings.EMAIL_URL = wrong
        with pytest.raises(ImproperlyConfigured, match="anymail"):
            transport()
