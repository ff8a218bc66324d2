"""The plain endpoint's web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "plain_settings"
application = get_wsgi_application()
