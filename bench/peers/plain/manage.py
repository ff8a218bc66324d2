"""A plain Django + DRF project, as a good engineer would write it first: `make bench PART=intake` measures against it."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "plain_settings"
    execute_from_command_line(sys.argv)
