"""What tests in a browser share: a page of one width in Chromium, also signed in, and what axe finds on a part of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.test import Client


@contextmanager
def signed_in(live_server: Any, settings: Any, user: User, width: int) -> Iterator[Any]:
    """A Playwright page, `width` pixels wide, that has the session of `user`."""
    client = Client()
    client.force_login(user)
    with visiting(live_server, settings, width) as page:
        page.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        yield page


@contextmanager
def visiting(live_server: Any, settings: Any, width: int) -> Iterator[Any]:
    """A Playwright page, `width` pixels wide, of somebody whom the site does not know."""
    from playwright.sync_api import sync_playwright

    settings.ALLOWED_HOSTS = ["*"]
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright runs a loop in this thread; the ORM is used between its calls
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            yield browser.new_context(viewport={"width": width, "height": 900}).new_page()
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def assert_accessible(page: Any, part: str) -> None:
    """axe finds nothing on this part of the page (a CSS selector); the frame around it is the admin theme's."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=part)
    assert found.violations_count == 0, found.generate_report()
