"""INBOX, afterwards: where mail providers post what became of our mails. anymail reads their formats and checks who sends."""

from typing import Any

import structlog
from anymail.exceptions import AnymailAPIError, AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from anymail.webhooks.base import AnymailBaseWebhookView
from anymail.webhooks.brevo import BrevoTrackingWebhookView
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.mailjet import MailjetTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from anymail.webhooks.sparkpost import SparkPostTrackingWebhookView
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from config.errors import Problem, problem_response
from newsletter.errors import ForgedEvent, UnknownProvider, UnreadableEvent

# Those whose bounces newsletter.events can tell apart. None of anymail's addresses for incoming mail is open.
PROVIDERS: dict[str, type[AnymailBaseWebhookView]] = {
    "amazon_ses": AmazonSESTrackingWebhookView,
    "brevo": BrevoTrackingWebhookView,
    "mailgun": MailgunTrackingWebhookView,
    "mailjet": MailjetTrackingWebhookView,
    "postmark": PostmarkTrackingWebhookView,
    "sparkpost": SparkPostTrackingWebhookView,
}
SIGNED = {"mailgun": "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"}  # these sign; all others prove themselves by the shared secret

log = structlog.get_logger()


@csrf_exempt
@require_http_methods(["HEAD", "POST"])
def events(request: HttpRequest, provider: str) -> HttpResponse:
    """200 once every event of the body is a row, or was one. Forged: 400 (401 where SES is to be asked for the secret), and
    nothing changes; from a provider that is not set up: 404. A provider repeats what was answered with 5xx."""
    try:
        return _answer(request, provider)
    except Problem as problem:
        return problem_response(problem)


def _answer(request: HttpRequest, provider: str) -> HttpResponse:
    view = PROVIDERS.get(provider)
    key = SIGNED.get(provider, "ANYMAIL_WEBHOOK_SECRET")
    if view is None or not getattr(settings, key):  # without a secret anymail would take everybody's word
        known = ", ".join(PROVIDERS)
        raise UnknownProvider(f"Those known are {known}; MAIL_WEBHOOK_SECRET opens them.", provider=provider[:40])
    try:
        return _checked(view, request)
    except AnymailWebhookValidationFailure as failure:
        log.warning("an event of a mail provider was not signed by it", provider=provider)
        raise ForgedEvent("Its signature or the shared secret is wrong or missing.") from failure
    except AnymailConfigurationError as failure:
        log.warning("a mail provider posts what does not belong here", provider=provider, reason=str(failure))
        raise UnreadableEvent("Only tracking events are taken at this address.") from failure
    # What anymail meets where it expects a provider's format. Our own verbs raise none of these.
    except (AnymailAPIError, ValueError, KeyError, TypeError, AttributeError) as failure:
        log.warning("an event of a mail provider cannot be read", provider=provider, error=type(failure).__name__)
        raise UnreadableEvent("It is not in the format that this provider documents.") from failure


def _checked(view: type[Any], request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = view.as_view()(request)
    return answer
