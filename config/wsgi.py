"""The web process."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

from config.checks import refuse_errors  # noqa: E402  the apps must be loaded first

refuse_errors()
# Addresses load what serves them, mail providers' interfaces among it: before the first request, not while it waits.
_ = get_resolver().url_patterns
# What is loaded by now stays for good: without this, the collector walks all of it again every few hundred requests, which
# showed as single answers that took a tenth of a second longer.
gc.collect()
gc.freeze()
