#!/bin/sh
# `make check`: what can be known without running the tests. Each part says what it is; the first that fails ends it.
set -eu
: "${RUN:=.venv/bin/python}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Settings as in production, so that `check --deploy` judges those and not this machine's.
production() {
    env -i PATH="$PATH" HOME="${HOME:-/}" VAR_DIR="$scratch" DATABASE_URL="sqlite:///$scratch/check.sqlite3" \
        SECRET_KEY="$($RUN -c 'import secrets; print(secrets.token_urlsafe(64))')" \
        SITE_URL=https://photorally.example BEHIND_TLS_PROXY=1 EMAIL_URL=smtp://mail.example:587 "$@"
}

echo "ruff: rules";             $RUN -m ruff check --quiet .
echo "ruff: format";            $RUN -m ruff format --quiet --check .
echo "mypy";                    production $RUN -m mypy --no-error-summary config collector training newsletter demo clients deploy manage.py
echo "djlint";                  $RUN -m djlint templates --lint --quiet
echo "templates compile";       production $RUN -m deploy.compile_templates
echo "migrations are complete"; production $RUN manage.py makemigrations --check --dry-run --verbosity 0
echo "check --deploy";          production $RUN manage.py check --deploy --fail-level WARNING
echo "OpenAPI schema";          production $RUN manage.py spectacular --validate --fail-on-warn --file "$scratch/schema.yml"
echo "make check: all passed."
