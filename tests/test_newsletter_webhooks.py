"""INBOX, afterwards: what providers post in their own formats suppresses; what is forged or broken changes nothing."""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from newsletter.edition import compose, freeze
from newsletter.models import Delivery, MailEvent, Subscriber, Suppression

SECRET, KEY = "events:a long secret", "mailgun-signing-key"


@pytest.fixture(autouse=True)
def secrets(settings) -> None:
    settings.ANYMAIL_WEBHOOK_SECRET = SECRET
    settings.ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY = KEY


@pytest.fixture
def reader(recognizer) -> Subscriber:
    long_ago = timezone.now() - timedelta(days=9)
    return Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed", confirmed_at=long_ago)


def basic(secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"}


def post(provider: str, body: Any, **headers: str):
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    return Client().post(f"/newsletter/events/{provider}", data, content_type="application/json", headers=headers)


# ---- the formats, as the providers document them ------------------------------------------------------------------
def mailgun(event: str = "failed", severity: str = "permanent", *, key: str = KEY, token: str = "0a" * 25, **more: Any):
    """https://documentation.mailgun.com/docs/mailgun/user-manual/events/webhook-payloads"""
    now = f"{timezone.now().timestamp():.6f}"
    stamp = str(int(float(now)))
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {
        "signature": {"token": token, "timestamp": stamp, "signature": signature},
        "event-data": {
            "event": event,
            "severity": severity,
            "id": "G9Bn5sl1TC6nu79C8C0bwg",
            "timestamp": float(now),
            "log-level": "error",
            "recipient": "ada@example.org",
            "recipient-domain": "example.org",
            "reason": "suppress-bounce",
            "delivery-status": {
                "attempt-no": 1,
                "code": 605,
                "message": "",
                "description": "Not delivering to bounced address",
            },
            "message": {"headers": {"to": "ada@example.org", "message-id": "20130503192659.13651.20287@mail.example"}},
            "user-variables": {},
            "tags": [],
        }
        | more,
    }


def postmark(record: str = "Bounce", kind: str = "HardBounce", **more: Any) -> dict[str, Any]:
    """https://postmarkapp.com/developer/webhooks/bounce-webhook"""
    return {
        "RecordType": record,
        "ID": 4323372036854775807,
        "Type": kind,
        "TypeCode": 1,
        "Name": "Hard bounce",
        "Tag": "",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {},
        "ServerID": 23,
        "Description": "The server was unable to deliver your message (ex: unknown user, mailbox not found).",
        "Details": "action: failed\r\n",
        "Email": "ada@example.org",
        "From": "newsletter@photorally.example",
        "BouncedAt": timezone.now().isoformat(),
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
    } | more


def ses(kind: str = "Bounce", **detail: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html, wrapped as SNS posts it."""
    details = {
        "Bounce": {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": "ada@example.org", "action": "failed", "status": "5.1.1"}],
        },
        "Complaint": {"complainedRecipients": [{"emailAddress": "ada@example.org"}], "complaintFeedbackType": "abuse"},
    }
    inner = {
        "notificationType": kind,
        kind.lower(): {**details[kind], "timestamp": timezone.now().isoformat(), "feedbackId": "0100-f", **detail},
        "mail": {"messageId": "0000-m", "destination": ["ada@example.org"], "timestamp": timezone.now().isoformat()},
    }
    outer = {
        "Type": "Notification",
        "MessageId": "da41e39f-ea4d-435a-b922-c6aae3915ebe",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:mail",
        "Message": json.dumps(inner),
        "Timestamp": timezone.now().isoformat(),
    }
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": outer["MessageId"], **basic()}
    return outer, headers


def sent(provider: str, payload: Any = None):
    """A hard bounce (or `payload`) as this provider posts it, well signed."""
    if provider == "mailgun":
        return post("mailgun", payload or mailgun(), **basic())  # it has to know both secrets where both are set
    if provider == "postmark":
        return post("postmark", payload or postmark(), **basic())
    body, headers = payload or ses()
    return post("amazon_ses", body, **headers)


PROVIDERS = ("mailgun", "postmark", "amazon_ses")


@pytest.mark.django_db
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hard_bounce_suppresses_once_however_often_it_is_posted(reader, provider: str) -> None:
    # One body, to the byte: the same event told three times.
    payload = {"mailgun": mailgun, "postmark": postmark, "amazon_ses": ses}[provider]()
    assert [sent(provider, payload).status_code for _ in range(3)] == [200, 200, 200]
    reader.refresh_from_db()
    assert reader.state == "suppressed" and MailEvent.objects.count() == 1
    assert Suppression.objects.get().reason == "bounce"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "payload"),
    [
        ("mailgun", lambda: mailgun("complained")),
        ("postmark", lambda: postmark("SpamComplaint", "SpamComplaint")),
        ("amazon_ses", lambda: ses("Complaint")),
    ],
)
def test_a_complaint_suppresses_for_good(reader, provider: str, payload: Any) -> None:
    assert sent(provider, payload()).status_code == 200
    reader.refresh_from_db()
    assert reader.state == "suppressed" and Suppression.objects.get().reason == "complaint"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "payload"),
    [
        ("mailgun", lambda: mailgun("failed", "temporary")),
        ("mailgun", lambda: mailgun("opened")),
        ("mailgun", lambda: mailgun("failed", **{"delivery-status": {"message": "550 5.7.1 blocked", "code": 550}})),
        ("postmark", lambda: postmark(kind="SoftBounce")),
        ("postmark", lambda: postmark(kind="Blocked")),
        ("postmark", lambda: postmark("Delivery", Recipient="ada@example.org", DeliveredAt="2026-11-25T10:00:00Z")),
        ("amazon_ses", lambda: ses(bounceType="Transient", bounceSubType="MailboxFull")),
        ("amazon_ses", lambda: ses(bounceType="Undetermined", bounceSubType="Undetermined")),
    ],
)
def test_what_may_pass_or_says_nothing_of_the_mailbox_suppresses_nobody(reader, provider: str, payload: Any) -> None:
    assert sent(provider, payload()).status_code == 200
    reader.refresh_from_db()
    assert reader.state == "confirmed" and not Suppression.objects.exists()


@pytest.mark.django_db
def test_a_late_delivered_ends_no_suppression(reader) -> None:
    sent("mailgun")
    assert sent("mailgun", mailgun("delivered", token="0b" * 25)).status_code == 200
    reader.refresh_from_db()
    assert reader.state == "suppressed" and Suppression.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "body", "headers"),
    [
        ("mailgun", lambda: mailgun(key="another key"), basic()),
        ("mailgun", mailgun, {}),
        ("mailgun", lambda: {"event-data": mailgun()["event-data"]}, basic()),
        ("mailgun", lambda: b"\xff", basic()),
        ("postmark", postmark, {}),
        ("postmark", postmark, basic("events:wrong")),
        ("postmark", postmark, {"Authorization": "Basic %%%"}),
        ("amazon_ses", lambda: ses()[0], {k: v for k, v in ses()[1].items() if k != "Authorization"}),
        ("amazon_ses", lambda: ses()[0], {**ses()[1], **basic("events:wrong")}),
    ],
)
def test_a_forged_event_is_refused_and_changes_nothing(reader, provider: str, body: Any, headers: dict[str, str]) -> None:
    answer = post(provider, body(), **headers)
    assert answer.status_code in (400, 401), answer.content
    reader.refresh_from_db()
    assert reader.state == "confirmed" and not MailEvent.objects.exists() and not Suppression.objects.exists()


@pytest.mark.django_db
def test_without_a_secret_of_ours_nobody_is_believed(reader, settings) -> None:
    settings.ANYMAIL_WEBHOOK_SECRET = settings.ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY = ""
    assert [sent(provider).status_code for provider in PROVIDERS] == [404, 404, 404]
    assert post("sendgrid", [], **basic()).status_code == 404
    assert not MailEvent.objects.exists()


@pytest.mark.django_db
def test_mailguns_signature_is_enough_where_there_is_no_shared_secret(reader, settings) -> None:
    settings.ANYMAIL_WEBHOOK_SECRET = ""
    assert post("mailgun", mailgun(key="another key")).status_code == 400
    assert post("mailgun", mailgun()).status_code == 200 and Suppression.objects.exists()


def test_a_get_does_nothing() -> None:
    assert Client().get("/newsletter/events/mailgun").status_code == 405


@pytest.mark.django_db
def test_an_unsubscription_that_names_our_mail_leaves_that_newsletter(reader, recognizer, live_photo) -> None:
    live_photo()
    freeze(edition=compose(recognizer=recognizer, day=timezone.now().date()))
    name = f"{Delivery.objects.get().pk}@photorally.example"
    other = type(recognizer).objects.create(slug="stamps", name="Stamps")
    Subscriber.objects.create(recognizer=other, email="ada@example.org", state="confirmed")
    sent("mailgun", mailgun("unsubscribed", message={"headers": {"message-id": name}}))
    assert dict(Subscriber.objects.values_list("recognizer__slug", "state")) == {"coins": "left", "stamps": "confirmed"}


@pytest.mark.django_db
def test_an_unsubscription_that_names_the_mail_as_the_provider_does_leaves_that_newsletter(
    reader, recognizer, live_photo
) -> None:
    live_photo()
    freeze(edition=compose(recognizer=recognizer, day=timezone.now().date()))
    Delivery.objects.update(provider_id="883953f4-6105-42a2-a16a-77a8eac79483")
    other = type(recognizer).objects.create(slug="stamps", name="Stamps")
    Subscriber.objects.create(recognizer=other, email="ada@example.org", state="confirmed")
    sent(
        "postmark",
        postmark(
            "SubscriptionChange",
            Recipient="ada@example.org",
            SuppressSending=True,
            ChangedAt=timezone.now().isoformat(),
            SuppressionReason="ManualSuppression",
            Origin="Recipient",
        ),
    )
    assert dict(Subscriber.objects.values_list("recognizer__slug", "state")) == {"coins": "left", "stamps": "confirmed"}


@pytest.mark.django_db
def test_an_event_of_an_unknown_address_is_kept_for_when_it_is_imported() -> None:
    sent("mailgun")
    assert Suppression.objects.get().reason == "bounce" and not Subscriber.objects.exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
FIELDS = ("RecordType", "Type", "Email", "BouncedAt", "ID", "MessageID", "Metadata", "Details", "Description")


@pytest.mark.django_db
@effort(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(FIELDS), JSON), JSON)
def test_whatever_a_provider_posts_is_never_an_error_of_ours(changes: dict[str, Any], whole: Any) -> None:
    assert post("postmark", postmark() | changes, **basic()).status_code in (200, 400)
    assert post("postmark", whole, **basic()).status_code in (200, 400)
