#!/usr/bin/env python
"""The one door for every command; a bad setting ends here in one readable line."""

import os
import sys


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        sys.stderr.write(f"photorally does not start: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
