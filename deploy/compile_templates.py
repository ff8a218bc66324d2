"""`python -m deploy.compile_templates`: parse every template, so that none fails on its first visitor."""

import os
import sys
from pathlib import Path

import django


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings
    from django.template import TemplateSyntaxError, engines

    failed = 0
    folder = Path(settings.BASE_DIR) / "templates"
    for path in sorted(folder.rglob("*.*")):
        try:
            engines["django"].get_template(str(path.relative_to(folder)))
        except TemplateSyntaxError as error:
            failed += 1
            sys.stderr.write(f"{path}: {error}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
