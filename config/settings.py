"""Every setting and every environment variable, once. `config.checks` says what is wrong with them and how to mend it."""

import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import structlog
from django.templatetags.static import static

from config import env
from config.secrets import read_or_make

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = env.folder("VAR_DIR", BASE_DIR / "var")  # everything this installation writes to local disk
VAR_DIR.mkdir(parents=True, exist_ok=True)

# ---- who may talk to us ------------------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", False)
EXAMPLE_SECRET_KEY = "example-only-change-me"  # noqa: S105  no secret: it stands in deploy/example.env; config.checks refuses it outside debug
# Signs sessions and mail links. Unset: one is made for this installation, so that a single machine needs no set-up.
SECRET_KEY = env.text("SECRET_KEY") or read_or_make(VAR_DIR / "secret_key", lambda: secrets.token_urlsafe(64))
SITE_URL = env.url("SITE_URL", "http://127.0.0.1:8000", schemes=("http", "https")).rstrip("/")
# A host of its own for volunteers' pictures, so that no file of a stranger shares an origin with pages that have cookies.
MEDIA_SITE_URL = env.url("MEDIA_SITE_URL", "", schemes=("http", "https")).rstrip("/")  # unset: SITE_URL serves them
_SITE = urlsplit(SITE_URL)
HTTPS = _SITE.scheme == "https"
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", sorted({_SITE.hostname or "localhost", "127.0.0.1", "localhost", "[::1]"}))
if MEDIA_SITE_URL:
    ALLOWED_HOSTS = [*ALLOWED_HOSTS, urlsplit(MEDIA_SITE_URL).hostname or ""]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_TLS_PROXY", False) else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0  # seconds; a year, the least that preload lists take
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]  # probes come by plain HTTP from inside
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# ---- rows, bell, bytes, mail -------------------------------------------------------------------------------------
DATABASES = {
    "default": dict(
        dj_database_url.parse(
            env.url(
                "DATABASE_URL",
                f"sqlite:///{VAR_DIR / 'photorally.sqlite3'}",
                schemes=("sqlite", "postgres", "postgresql"),
            ),
            conn_max_age=60,  # seconds; a web thread keeps its connection across requests
            conn_health_checks=True,
        )
    )
}
# Set by deploy/gunicorn.conf.py: the web process has more threads than PostgreSQL should have connections.
DATABASE_POOL = env.whole("DATABASE_POOL", 0, least=0, most=1000, unit="connections that the threads of a process share")
if str(DATABASES["default"]["ENGINE"]).endswith("postgresql"):
    # What config.rows.together runs again and again is planned once a connection: planning takes three times as long as running
    # it. 0 behind a pooler that gives out other connections meanwhile and forgets (PgBouncer before 1.21).
    prepare_threshold = 2 if env.flag("DATABASE_PREPARE", True) else None  # from the second time on
    pool = {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 20} if DATABASE_POOL else False  # seconds to wait for one
    DATABASES["default"]["OPTIONS"] = {"prepare_threshold": prepare_threshold, "pool": pool}
    if DATABASE_POOL:
        DATABASES["default"]["CONN_MAX_AGE"] = 0  # seconds; the pool keeps connections, a thread gives its own back
if str(DATABASES["default"]["ENGINE"]).endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # A writer takes its lock at BEGIN: a transaction that read first could not be upgraded under a rival (SQLITE_BUSY).
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,  # seconds to wait for the one writer
        # WAL: readers never wait for the writer. FULL: what was acknowledged survives a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.url("REDIS_URL", "", schemes=("redis", "rediss"))  # unset: no broker, `manage.py work` does the work
SWEEP_S = env.whole("SWEEP_S", 30, least=1, most=3600, unit="seconds")  # how often beat rings again for overdue rows
WORK_POLL_S = 0.5  # seconds between two looks of `manage.py work`; a photo is seen by a moderator about this much later

S3_BUCKET = env.text("S3_BUCKET")  # unset: bytes lie under VAR_DIR/store. Credentials come from boto3's own places.
S3_ENDPOINT_URL = env.url("S3_ENDPOINT_URL", "", schemes=("http", "https"))
STORE_DIR = VAR_DIR / "store"

EMAIL_URL = env.url("EMAIL_URL", f"file://{VAR_DIR / 'mail'}", schemes=("file", "smtp", "smtps", "anymail+"))
MAIL_FROM = env.text("MAIL_FROM", f"Photorally <newsletter@{_SITE.hostname or 'localhost'}>")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = MAIL_FROM
MAIL_TIMEOUT_S = env.whole("MAIL_TIMEOUT_S", 30, least=1, most=300, unit="seconds")

# DKIM for plain SMTP, where the relay does not sign: a private key in PEM (RSA or Ed25519); unset: nothing is signed here.
DKIM_KEY_FILE = env.text("DKIM_KEY_FILE")
DKIM_SELECTOR = env.text("DKIM_SELECTOR")
DKIM_DOMAIN = env.text("DKIM_DOMAIN", MAIL_FROM.rpartition("@")[2].rstrip("> "))

# How many proxies stand in front and append to X-Forwarded-For. 0: the header is never read, anybody can write it.
TRUSTED_PROXIES = env.whole("TRUSTED_PROXIES", 0, least=0, most=10, unit="proxies")

# ---- limits of intake --------------------------------------------------------------------------------------------
PHOTO_MAX_BYTES = env.whole("PHOTO_MAX_BYTES", 25 * 2**20, least=2**10, most=2**30, unit="bytes")  # a 50-MP JPEG fits
PHOTO_MAX_PIXELS = env.whole("PHOTO_MAX_PIXELS", 50_000_000, least=10_000, most=10**9, unit="pixels")  # RGB: 150 MB
BODIES_MAX_BYTES = 512 * 2**20  # bytes of uploads in the memory of one web worker; beyond it phones are asked to come back
BODIES_RETRY_S = 5  # seconds; an upload over a good network takes less
WEBP_MAX_PIXELS = 16_000_000  # pixels; its decoder holds 16 to 17 bytes of each: 50 MP would take 850 MB
# Bytes of coefficients that a decoder holds of a JPEG in several scans: 50 MP need 143 MB as cameras write them (4:2:0), 286 MB
# without chroma subsampling, so that such pictures are taken up to 41 MP.
JPEG_HELD_MAX_BYTES = 240 * 2**20
PHOTO_MIN_SIDE = 32  # pixels; below it there is nothing to recognise
PHOTOS_PER_DAY = env.whole("PHOTOS_PER_DAY", 500, least=1, most=10**6, unit="photos per volunteer and day")
REGISTRATIONS_PER_DAY = env.whole("REGISTRATIONS_PER_DAY", 100, least=1, most=10**6, unit="registrations per address")
# A phone that was offline sends its whole backlog: ten photos a second pass. What comes faster is no person with a phone.
PHOTO_REQUESTS_PER_MINUTE = env.whole(
    "PHOTO_REQUESTS_PER_MINUTE", 600, least=1, most=10**6, unit="photo uploads tried per volunteer and minute"
)
# A school or a mobile network may send from one address; a single one shall not keep all web threads busy.
PHOTO_REQUESTS_PER_ADDRESS_MINUTE = env.whole(
    "PHOTO_REQUESTS_PER_ADDRESS_MINUTE", 6000, least=1, most=10**6, unit="photo uploads tried per address and minute"
)
PHOTO_REQUESTS_PER_ADDRESS_DAY = env.whole(
    "PHOTO_REQUESTS_PER_ADDRESS_DAY", 200_000, least=1, most=10**8, unit="photo uploads tried per address and day"
)
REGISTRATIONS_PER_MINUTE = 60  # per address: a class that joins together passes, a script that fills the table does not
ALLOWANCE_KEPT_S = 86_400  # seconds that a window's count stays after its end, for an operator who asks what happened
INVITATION_TRIES_PER_DAY = 200  # codes tried per address, right or wrong; a code has 60 random bits
REGISTRATION = env.choice("REGISTRATION", "open", among=("open", "invited"))  # invited: only with an invitation code
VOTES_PER_DAY = env.whole("VOTES_PER_DAY", 2000, least=1, most=10**6, unit="votes per volunteer and day")
JSON_MAX_BYTES = 64 * 2**10  # bytes of any JSON body; the largest we define is under 2 KB
DATA_UPLOAD_MAX_MEMORY_SIZE = JSON_MAX_BYTES
CONSENT_VERSION = "2026-11"  # the text in docs/consent.md; a changed text gets a new name
PHOTO_LICENCE = "CC-BY-4.0"  # what a volunteer grants at registration
TAKEOUTS_PER_DAY = 3  # per volunteer; each reads all their photos, and a broken download may be tried again
# A photo's object is written before its row. ORPHAN_GRACE_S is the longest that may take; SWEEP_STORE_S is how often each part
# of the store is compared with the rows. Together below an hour: then bytes that nobody needs are gone within the hour.
ORPHAN_GRACE_S = 900  # seconds; 15 times DEVELOP_LEASE_S; the web server ends a request long before
SWEEP_STORE_S = 2400  # seconds
SWEEP_LEASE_S = 120  # seconds one part may take (4,000 objects on a local disk take a tenth of one) before another worker tries
# ---- a newcomer's photos, and what may be accepted without a moderator, where a recognizer allows it at all
FIRST_PHOTOS_HELD = env.whole(
    "FIRST_PHOTOS_HELD", 5, least=1, most=10**6, unit="first photos of a new volunteer, which persons decide with special care"
)
# Two pairs of eyes see what a newcomer makes of it. A place with one moderator sets 1, or these photos wait for ever.
MODERATORS_FOR_FIRST = env.whole(
    "MODERATORS_FOR_FIRST", 2, least=1, most=5, unit="moderators who must agree on each of a new volunteer's first photos"
)
AUTO_ACCEPT_LEAST = 20  # photos of a volunteer that moderators accepted under the claimed label before one is trusted
AUTO_ACCEPT_WRONG_MOST = 0.05  # share of a trusted volunteer's decided photos that were rejected or had the wrong label
DEVELOP_LEASE_S = 60  # seconds a worker may take for one photo's image work before another may try
DEVELOP_ATTEMPTS = 3  # tries before a photo is set aside as broken
# Of the process that decodes, beyond the 28 MB it has when idle. The most that a photo within the limits above was seen to
# take is 297 MB (docs/what-happens-to-a-photo.md); a worker with its decoder stays under 512 MB.
DECODE_MEMORY_BYTES = env.whole("DECODE_MEMORY_BYTES", 320 * 2**20, least=2**26, most=2**36, unit="bytes")
DECODE_CPU_S = 6  # seconds of CPU for one photo; the worst that decodes takes 2
DECODE_WALL_S = 8  # seconds for one photo on a machine that is busy; with the rest of the work it stays under 10
DECODER_PHOTOS = 500  # photos a decoder process takes before a fresh one: what its libraries leak goes with it

# ---- uploads in pieces (tus) and direct ones (S3) ----------------------------------------------------------------
# Pieces may hold the place where a photo was taken: nothing is staged for an hour. 50 + 5 minutes leave 5 for the sweeper.
UPLOAD_VALID_S = 50 * 60  # seconds from its beginning, never extended
UPLOAD_LATE_S = 5 * 60  # seconds after its end in which a request that began before it may still write: swept once more then
UPLOAD_KEEP_S = 86_400  # seconds from its beginning until the row is forgotten too: an old address answers 410, then 404
UPLOAD_LEASE_S = 60  # seconds one process may take to join an upload and take it in
UPLOADS_OPEN = 8  # open uploads per volunteer, and with PHOTO_MAX_BYTES each the bound of what one may stage: 200 MiB
UPLOADS_PER_DAY = 2000  # uploads begun per volunteer and day: four for each photo of PHOTOS_PER_DAY, for bad networks
UPLOAD_PIECES_MOST = 1000  # pieces of one upload, an object each; 25 MiB come in pieces of 26 KB on average at the worst
UPLOAD_METADATA_MOST = 2048  # characters of Upload-Metadata; ours take under 300, a file name some more
DIRECT_URL_S = 15 * 60  # seconds a presigned address works: 25 MiB at 28 KiB/s
DIRECT_SPARE_S = 10 * 60  # seconds before an upload's end when its address stops working: a PUT that began earlier may last on
DIRECT_LOOK_S = 5  # seconds between two looks whether a direct upload has arrived; the older it is the longer

# ---- imports by owners of photos, in the admin -------------------------------------------------------------------
IMPORT_ZIP_MAX_BYTES = env.whole("IMPORT_ZIP_MAX_BYTES", 4 * 2**30, least=2**20, most=2**40, unit="bytes")  # in the store
IMPORT_ZIP_MAX_MEMBERS = 20_000  # files in a zip; its list of members is read whole: for this many 10 MB with short names
IMPORT_PIECE_BYTES = 8 * 2**20  # bytes of a zip that are sent, stored and read at a time; any proxy lets them through
IMPORT_STEP_FILES = 200  # files of a zip between two looks at what else waits; each step reads the list of members anew
IMPORT_LEASE_S = 120  # seconds a worker may take for one file of a zip before another goes on with it
IMPORT_ATTEMPTS = 3  # tries before a file is taken for the killer of its workers and refused
IMPORT_KEEP_S = 86_400  # seconds after which an import that did not end is stopped and its zip removed

# ---- near-duplicates and splits ----------------------------------------------------------------------------------
NEAR_DUPLICATE_BITS = 6  # of 64: re-encoded and resized copies measured 0-4, other photos of one object 14 and more
# Distinct hashes a cluster is found by. Re-encoding one picture gives a handful; a flood of thousands of variants would make
# each look-up near it slower than the last.
FINGERPRINTS_PER_CLUSTER = 256
SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}  # of a recognizer's accepted photos

# ---- nights ------------------------------------------------------------------------------------------------------
BACKBONE_WEIGHTS = env.text("BACKBONE_WEIGHTS", "imagenet")  # imagenet | none (the starter) | random | a file
DOWNLOAD_DECISION_S = 10  # seconds until "no download here" is decided
NIGHT_HOUR_UTC = env.whole("NIGHT_HOUR_UTC", 2, least=0, most=23, unit="hours")  # photos of the day before are moderated
RUN_LEASE_S = env.whole("RUN_LEASE_S", 120, least=5, most=3600, unit="seconds")  # silence after which a run is taken for dead
RUN_LIMIT_S = env.whole("RUN_LIMIT_S", 6 * 3600, least=30, most=86_400, unit="seconds")  # a run ends itself after this
RUN_ATTEMPTS = 3  # fresh processes a slot may use
RUNS_AT_ONCE = 1  # of all recognizers; a run takes every core and up to 2 GB, a second one would only make both late
VIEWS_LOOK_BACK_DAYS = 30  # days; a worker looks at photos that came since, the night at all others that nobody has looked at
LONG_NIGHT_EVERY_DAYS = env.whole("LONG_NIGHT_EVERY_DAYS", 7, least=1, most=10_000, unit="days between long nights")
RUN_BUDGET_S = env.whole("RUN_BUDGET_S", 3 * 3600, least=30, most=86_400, unit="seconds")  # beyond it no further way is tried
# Machines that train together, as TensorFlow names them; the first carries out the nights, the others `train_along`.
TF_CONFIG = env.text("TF_CONFIG")
CLUSTER_WAIT_S = env.whole("CLUSTER_WAIT_S", 60, least=1, most=3600, unit="seconds")  # for them, before a night goes on alone
VALIDATION_LEAST = 0.10  # share of the photos to learn from; with under half of it to choose by, whole scenes are set aside
MIN_PHOTOS_PER_LABEL = env.whole("MIN_PHOTOS_PER_LABEL", 3, least=2, most=10_000, unit="training photos per label")
# What one account or one scene may be of a night's training photos: who sends only wrong labels spoils no more than this.
VOLUNTEER_CAP_PERCENT = env.whole("VOLUNTEER_CAP_PERCENT", 1, least=1, most=100, unit="percent of the training photos")
CLUSTER_CAP_PERCENT = env.whole("CLUSTER_CAP_PERCENT", 5, least=1, most=100, unit="percent of the training photos")
CAP_FLOOR = env.whole("CAP_FLOOR", 1000, least=0, most=10**7, unit="training photos")  # caps never leave fewer in total
# Inferences of the int8 file in the search for planted patches: 30 s of one core at 15 ms each (width 1.0, 256 pixels).
PROBE_INFERENCES = env.whole("PROBE_INFERENCES", 2000, least=0, most=10**7, unit="inferences")
# Figures of nights are also sent to this MLflow server; unset: they are kept here alone. A user and password may stand in it.
MLFLOW_TRACKING_URI = env.url("MLFLOW_TRACKING_URI", "", schemes=("http", "https")).rstrip("/")
MLFLOW_TRACKING_TOKEN = env.text("MLFLOW_TRACKING_TOKEN")  # sent as a bearer token
MLFLOW_LIMIT_S = 30  # seconds a night spends on it, whatever the server does; a dozen calls and 1 MB take two

# What a file that phones of a tier get may take: bytes, and milliseconds of an inference on one thread of the machine that
# carries out the nights. A phone of five years ago takes about twice as long as such a core, a new one half.
PHONE_TIERS = {
    "low": (
        env.whole("TIER_LOW_BYTES", 4_000_000, least=10_000, most=200_000_000, unit="bytes"),
        env.whole("TIER_LOW_MS", 60, least=1, most=10_000, unit="milliseconds"),
    ),
    "high": (
        env.whole("TIER_HIGH_BYTES", 12_000_000, least=10_000, most=200_000_000, unit="bytes"),
        env.whole("TIER_HIGH_MS", 60, least=1, most=10_000, unit="milliseconds"),
    ),
}
# Phones of the tier "low" get an int8 file of the same weights with a smaller input, where recipes have a larger one. 192
# pixels took 0.65 to 0.8 of the time of 256 and lost nothing (training/tiers.py). What it may lose is meant beyond noise.
TIER_LOW_PIXELS = env.whole("TIER_LOW_PIXELS", 192, least=0, most=1024, unit="pixels (0: no such file)")
TIER_LOW_LOSS_PERCENT = env.whole("TIER_LOW_LOSS_PERCENT", 2, least=0, most=100, unit="points that it may lose")
# Core ML files are made by a process of their own. For width 1.0 and 256 pixels it took 17 s of a core and 1.3 GB.
COREML_LIMIT_S = env.whole("COREML_LIMIT_S", 300, least=0, most=7200, unit="seconds (0: no Core ML files)")
COREML_MEMORY_BYTES = 6 * 2**30  # bytes of data that it may hold, of which TensorFlow uses a part
# How often a label must be right where a phone says it at all; below the score from which on it is, the phone says "not sure".
SURE_PERCENT = env.whole("SURE_PERCENT", 90, least=50, most=99, unit="percent of the answers that must be right")

# ---- releases ----------------------------------------------------------------------------------------------------
SIGNING_KEY_FILE = Path(env.text("SIGNING_KEY_FILE", str(VAR_DIR / "keys" / "manifest.jwk")))
# The signed set of keys that phones may believe; `manage.py keys` makes it. In VAR_DIR the server signs its own.
KEYS_FILE = Path(env.text("KEYS_FILE", str(VAR_DIR / "keys" / "keys.json")))
KEYS_VALID_S = 180 * 86_400  # seconds; the longest that a phone kept from newer sets can be held to an old one
KEY_VALID_S = 365 * 86_400  # seconds an online key may sign; people rotate once a year if nothing forces them to
# Seconds that a replaced key stays good: every manifest it signed has expired by then, and a phone's clock may be a day off.
KEY_OVERLAP_S = 8 * 86_400
KEYS_WARN_S = 30 * 86_400  # seconds before the end of set or key in which `manage.py check` warns: time to fetch the root
MANIFEST_VALID_S = 7 * 86_400  # seconds; a phone that is offline for a week keeps its model but stops trusting the manifest
MANIFEST_PERIOD_S = 3600  # seconds for which the same manifest is signed to the byte, so that its ETag can match
MANIFEST_CACHE_S = 60  # seconds a cache may keep a manifest: a roll-back reaches phones behind a CDN this much later
MANIFEST_HOLD_S = 5  # seconds a web process may say "304, as before" without asking the database; a newer one comes that late
BLOB_RETRY_S = 300  # seconds a phone waits when a released file cannot be read; somebody must mend the store first
# A new file is also kept as its difference from files that phones have: those of the last releases, and those that devices
# reported lately, most of them first. A pair of 2.8 MB takes two CPU seconds.
DELTA_RELEASES = 4  # earlier releases of a channel whose files count: phones that were on within four nights
DELTA_REPORTED = 4  # further files, by the devices that reported them
DELTA_REPORTED_DAYS = 30  # days a report counts
DELTA_MOST_SHARE = 0.9  # of the file compressed by itself; a difference that is larger is not worth its place
DELTA_LEASE_S = 120  # seconds a worker may take for one
DELTA_ATTEMPTS = 3  # tries before a pair is set aside: phones get the whole file
BLOB_REDIRECT = env.flag("BLOB_REDIRECT", False)  # with S3: send phones to the bucket for whole files
BLOB_REDIRECT_S = 3600  # seconds such an address works: a 10-MB file at 3 KB/s
# How an automatic channel offers a new release: percent of devices, seconds there at the least, reports on it at the least.
# Nine hours in all: a ramp that meets no doubt is over before the next night.
RAMP_STEPS = ((1, 3 * 3600, 10), (10, 3 * 3600, 50), (50, 3 * 3600, 200))
# The risk that a release which is no worse is halted, over all measures and however long it is watched.
ROLLOUT_RISK_PERCENT = env.whole("ROLLOUT_RISK_PERCENT", 2, least=1, most=50, unit="percent")
REPORTS_PER_SOURCE = env.whole(
    "REPORTS_PER_SOURCE", 2, least=1, most=10**6, unit="reports of one network address on a file that count in the test"
)
WATCH_EVERY_S = 60  # seconds between two looks at a channel's reports
WATCH_REPORTS = 4000  # reports of each side that a look reads, the first that came; 500 tell what there is to tell
DASHBOARD_ROWS = 100  # lines (version and device model) of the page of reports, the most reported first; models are free text
BASELINE_DAYS = 14  # days; older reports on the release before come from other phones and other versions of their systems
BENCHMARKS_PER_DAY = env.whole("BENCHMARKS_PER_DAY", 1000, least=1, most=10**6, unit="benchmark reports per address")

# ---- newsletter --------------------------------------------------------------------------------------------------
EDITION_ENTRIES = 6  # photos in an edition; more and the mail passes 100 KB of HTML with its texts
DELIVERY_LEASE_S = 300  # seconds in `sending` after which nobody knows whether the mail left: it becomes `unknown`
DELIVERY_BATCH_S = 480  # seconds one mail task may last; the broker hands a job out again after an hour, we stay far below
CONFIRM_VALID_S = 3 * 86_400  # seconds a double opt-in link works
CONFIRM_AGAIN_S = 300  # seconds until a confirmation mail that a server did not take is tried again
SUBSCRIPTIONS_PER_DAY = env.whole("SUBSCRIPTIONS_PER_DAY", 50, least=1, most=10**6, unit="subscriptions per network address")
CONFIRMATIONS_PER_DAY = 3  # confirmation mails per mail address and day: the form must not flood a stranger's inbox
# Readers: webhooks of mail providers, bounces, files of addresses (docs/how-readers-join-and-leave.md).
# "user:password" that a provider sends with each event. Without it (or Mailgun's key) no event is taken: anybody could
# write one. The names are those under which anymail looks them up.
ANYMAIL_REQUESTS_TIMEOUT = MAIL_TIMEOUT_S  # anymail's name; by its interface or by SMTP, a provider is waited for as long
ANYMAIL_WEBHOOK_SECRET = env.text("MAIL_WEBHOOK_SECRET")
ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY = env.text("MAILGUN_WEBHOOK_SIGNING_KEY")
SOFT_BOUNCES = 5  # temporary bounces within SOFT_BOUNCE_WINDOW_S that suppress: a full mailbox that nobody empties
SOFT_BOUNCE_WINDOW_S = 30 * 86_400  # seconds
BOUNCE_REST_S = 30 * 86_400  # seconds after a bounce in which the form sends no question either: a typed error stays quiet
MAIL_EVENTS_KEPT_S = 90 * 86_400  # seconds; an event told later than that is not believed, so a repeated one finds its row
PENDING_KEPT_S = 30 * 86_400  # seconds until an address that never confirmed is deleted; its link ended long before
READERS_CSV_MAX_BYTES = 64 * 2**20  # bytes of a file of addresses: half a million lines with their consent
READERS_CSV_LINE_CHARS = 2000  # characters of one of its lines; an address has 254 at most
BOUNCES_MBOX_MAX_BYTES = 2**30  # bytes of a mailbox of bounces
BOUNCE_MAX_BYTES = 2**20  # bytes of one report that are kept in memory and read; what is longer is passed over
EDITIONS_PER_PAGE = 50  # lines of the archive
EDITION_WINDOW_DAYS = 7  # days a photo may wait for votes; older ones are neither voted on nor printed
BALLOT_PHOTOS = 20  # photos a ballot holds: about two minutes of voting
BALLOT_PAIRS = 10  # pairs a ballot holds: about two minutes too
BALLOT_POOL = 2000  # newest photos that a ballot is drawn from, so that drawing one costs the same however many there are
PAIR_VALID_S = 86_400  # seconds in which a pair that was shown can be answered
KNOWN_PAIR_EVERY = 10  # pairs of a ballot of which one is a known pair, where there is one that its voter has not answered
NEWCOMER_DAYS = 7  # days an account is new, and longer without an accepted photo or this many answers that can be checked:
NEWCOMER_KNOWN_PAIRS = 5
YOUNG_DAYS = 30  # days in which an account is young: rings are looked for among young ones
RANK_EVERY_S = 900  # seconds between two rankings of a recognizer whose votes change: places are not looked at more often
RANK_LEASE_S = 600  # seconds after which somebody else ranks; 10^5 photos with 10^6 votes take less than a minute
PROVISIONAL_S = (
    48 * 3600
)  # seconds after acceptance in which a score is provisional: newcomers' votes and second looks still come
FAME_ROWS = 20  # lines of a leaderboard page
EDITION_FAME_ROWS = 5  # lines of a leaderboard in an edition
FAME_LAG_S = 10  # seconds that marks gather before a day is recounted: a day that is voted on is not recounted at every vote
FAME_SEASON_MONTHS = 3  # months; a divisor of 12: seasons are the calendar's quarters. After a change: manage.py fame --rebuild
FAME_FIXES = 10  # mistakes of a released model that photos must have fixed for the badge
FAME_CORNER_PHOTOS = 3  # first photos of a label under a condition that taught the model a new corner; then it is known
TEAM_MOST = env.whole("TEAM_MOST", 50, least=2, most=1000, unit="members of a team")  # a class, a club
TEAMS_PER_DAY = 5  # teams that a volunteer may make a day; a name that was mistyped is made again
TEAM_TRIES_PER_DAY = 50  # team codes that a volunteer may try a day, right or wrong; a code has 60 random bits
MAIL_HTML_MAX_BYTES = 100_000  # bytes of a mail's HTML part; large webmailers cut a mail off at 102 KB
MAIL_PHOTO_SIDE = 640  # pixels of a photo in a mail: sharp on a phone, some 50 KB
MAIL_RETRY_S = (300, 1800, 7200, 28_800)  # seconds to wait after each temporary refusal; after the last one it has failed
MAIL_PER_CONNECTION = 100  # messages before a new SMTP connection; servers commonly close one at this number
# Sending: claims, pace, signatures (docs/how-an-edition-is-sent.md).
DELIVERY_CLAIM = 100  # rows a worker claims at once: one commit for all of them; a killed worker's rows wait for the lease
DELIVERY_CLAIM_S = 120  # seconds until claimed rows that were not begun are free again; a late worker just finds them taken
DELIVERY_LINGER_S = 10  # seconds a worker waits for rows that the pace put off, rather than leave them to the sweeper
# Large mailbox providers slow senders down who come in bursts; 50,000 readers of one provider take 17 minutes. 0: no pace.
MAIL_DOMAIN_PER_S = env.whole("MAIL_DOMAIN_PER_S", 50, least=0, most=10_000, unit="mails per second and domain")
MAIL_BURST_S = 1  # seconds of a domain's pace that may go at once
MAIL_BACKOFF_S = 10  # seconds a domain rests after 421 or 452; doubled each time until it takes a mail
MAIL_BACKOFF_MAX_S = 3600  # seconds; the ladder of retries is longer, so nothing fails for the rest
# Editions by schedule, and their editor.
EDITION_AGAIN_S = 600  # seconds until a draft for which there was nothing to print is tried again; a moderator may accept some
EDITION_LATE_MOST_S = 6 * 3600  # seconds after its hour that an edition may still go by itself: an evening's is no news at noon
EDITION_TESTS_PER_DAY = 50  # test mails an editor may send to their own address; an evening of editing takes a dozen
EDITION_ENTRIES_MOST = 12  # photos to which an editor may raise an edition; the mail's bytes are checked besides
# attached: read offline, and loading tells nobody anything; hosted: a tenth of the bytes, addresses the same for every reader.
MAIL_IMAGES = env.choice("MAIL_IMAGES", "attached", among=("attached", "hosted"))

# ---- Django ------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "collector",
    "training",
    "newsletter",
    "demo",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.bodies.RefuseLargeBodies",
    "config.hosts.MediaHost",  # before anything that answers or sets a cookie
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # the API's addresses are exact; a redirect would drop a PUT's body
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise warns at every start of a folder that is not there
WHITENOISE_USE_FINDERS = True  # a fresh clone serves its static files without a collectstatic step
LOGIN_URL = "/admin/login/"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["collector.authentication.VolunteerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.errors.as_problem_json",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Photorally",
    "DESCRIPTION": "Photos in, models out: the API that the phone app talks to. Errors are RFC 9457 problem+json.",
    "VERSION": "1",
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": True,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "collector.openapi.errors_are_problems",
        "collector.openapi.tus_methods",
    ],
}
UNFOLD = {
    "SITE_TITLE": "Photorally",
    "SITE_HEADER": "Photorally",
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("admin.css")],
}

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.dev.ConsoleRenderer(colors=False) if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
    ],
    logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
)

# Django's own default writes errors to nobody's mailbox unless DEBUG is on: a failed request or a broker that is away
# would leave no trace. Answers below 500 are the caller's business, and their problem+json says it all.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.request": {"level": "ERROR"},
    },
}
