"""RANKING, measured: how long a day takes as it grows, whether its order is the true one, and what rings and noise do to it.

Rows are made in a PostgreSQL of their own: qualities and eases are drawn, votes follow from them (five likes and five pairs a
photo), and the day is ranked by the verb that editions call, reading included. What is fair is asked on simulated days of 100
photos, whose true order is known, at equal numbers of votes: a pair counts as one vote.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import ROOT, claim, say, whole

SIZES = (10_000, 100_000, 1_000_000)
VOTES = 10  # of each photo: half likes, half pairs
PHOTOS = 100  # of a simulated day
VOTERS = 150  # of a simulated day
Z95 = 1.959964


def measure() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows, claims)."""
    grown, agreed, ringed, noisy = growth(), agreement(), rings(), noise()
    at = {row["photos"]: row for row in grown}
    least = min(row["ranking"] - max(row["like-counts"], row["mean"], row["wilson"]) for row in agreed)
    new = [row["places_most"] for row in ringed if row["accounts"] == "new"]
    claims = [
        claim(
            "seconds to rank 10^5 photos with 10^6 votes, reading included", lambda: at[100_000]["all_s"], 10, at_least=False
        ),
        claim("places that a ring of 50 new accounts lifts a mediocre photo, at most", lambda: max(new), 3, at_least=False),
        claim(
            "clearly different photos whose order is turned round when a fifth of the voters toss a coin",
            lambda: max(r["turned"] for r in noisy if r["careless"] <= 0.2),
            0,
            at_least=False,
        ),
        claim("Kendall's tau beyond the best of like-counts, mean, Wilson", lambda: least, 1e-3, at_least=True),
    ]
    return [*grown, *agreed, *ringed, *noisy], claims


# ---- growth ------------------------------------------------------------------------------------------------------
def growth() -> list[dict[str, Any]]:
    from tests.real_servers import postgresql

    with tempfile.TemporaryDirectory(prefix="photorally-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must pass through it
        url = stack.enter_context(postgresql(folder / "postgresql"))
        environment = {**os.environ, "DATABASE_URL": url, "VAR_DIR": str(folder / "var"), "BACKBONE_WEIGHTS": "none"}
        environment.pop("REDIS_URL", None)
        subprocess.run([sys.executable, "-m", "bench._ranks", str(folder / "rows.json")], cwd=ROOT, env=environment, check=True)
        rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
        return rows


def fill_and_time() -> list[dict[str, Any]]:
    """In the process of the database: each size is filled anew, and ranked."""
    import resource

    from django.core.management import call_command
    from django.utils import timezone

    call_command("migrate", verbosity=0)
    from newsletter.candidates import opinions
    from newsletter.ranking import rank

    rows = []
    for size in [size for size in SIZES if size <= whole("BENCH_PHOTOS", SIZES[-1], SIZES[1])]:
        recognizer = _fill(size)
        say(f"ranking {size} photos")
        began = time.perf_counter()
        found = opinions(recognizer=recognizer, day=timezone.now().date())
        read = time.perf_counter()
        best = rank(found.candidates, found.votes, found.people)
        ended = time.perf_counter()
        assert len(best) == size and len(found.votes.liked) + len(found.votes.better) >= 0.99 * VOTES * size
        rows.append(
            {
                "photos": size,
                "votes": len(found.votes.liked) + len(found.votes.better),
                "read_s": round(read - began, 2),
                "rank_s": round(ended - read, 2),
                "all_s": round(ended - began, 2),
                "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
            }
        )
        say(f"{rows[-1]}")
        del found, best
    return rows


def _fill(size: int) -> Any:
    """Photos of today with their votes, by `size` / 10 volunteers, a fifth of them young; what was there before goes."""
    import uuid

    from django.db import connection
    from django.utils import timezone

    from collector.models import Label, Photo, Recognizer, Volunteer

    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE collector_recognizer, collector_volunteer CASCADE")
    recognizer = Recognizer.objects.create(slug="bench", name="Bench")
    label = Label.objects.create(recognizer=recognizer, slug="thing", name="Thing", position=0)
    owner = Volunteer.objects.create(token_hash="0", consent_version="1", consented_at=now)
    Photo.objects.create(
        id=uuid.uuid4(), volunteer=owner, recognizer=recognizer, claimed=label, label=label, state="accepted", accepted_at=now,
        sent_sha256="", sha256="", content_type="image/jpeg", bytes=1, width=900, height=900, view_sha256="0", split="train",
        consent_version="1", licence="",
    )  # fmt: skip
    columns = ", ".join(f'"{field.column}"' for field in Photo._meta.concrete_fields if field.column != "id")
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            "INSERT INTO collector_volunteer (id, token_hash, consent_version, consented_at, created_at)"
            " SELECT gen_random_uuid(), n::text, '1', now(), now()"
            " - interval '1 day' * CASE WHEN n %% 5 = 0 THEN 20 ELSE 90 END FROM generate_series(1, %s) n",
            [size // 10],
        )
        cursor.execute(
            f"INSERT INTO collector_photo (id, {columns}) SELECT gen_random_uuid(), {columns}"
            " FROM collector_photo, generate_series(2, %s)",
            [size],
        )
        for name, table in (("photo", "collector_photo"), ("voter", "collector_volunteer")):
            cursor.execute(f"DROP TABLE IF EXISTS bench_{name}")
            cursor.execute(
                f"CREATE TABLE bench_{name} AS SELECT row_number() OVER () - 1 AS n, id,"
                f" (random() + random() + random() + random() - 2) * 1.73 AS q FROM {table}"  # nearly normal, deviation 1
            )
            cursor.execute(f"ALTER TABLE bench_{name} ADD PRIMARY KEY (n)")
        cursor.execute(
            "UPDATE collector_photo SET volunteer_id = v.id FROM bench_photo p JOIN bench_voter v ON v.n = p.n %% %s"
            " WHERE p.id = collector_photo.id",
            [size // 10],
        )
        cursor.execute(
            'INSERT INTO newsletter_vote (volunteer_id, photo_id, "like", voted_at)'
            " SELECT v.id, p.id, random() < 1 / (1 + exp(-p.q - v.q)), now()"
            " FROM bench_photo p CROSS JOIN generate_series(1, %s) k JOIN bench_voter v ON v.n = (p.n * 31 + k * 7919) %% %s",
            [VOTES // 2, size // 10],
        )
        cursor.execute(
            "INSERT INTO newsletter_comparison (volunteer_id, low_id, high_id, answer, compared_at)"
            " SELECT v.id, least(a.id, b.id), greatest(a.id, b.id),"
            " CASE WHEN (random() < 1 / (1 + exp(b.q - a.q))) = (a.id < b.id) THEN 'low' ELSE 'high' END, now()"
            " FROM bench_photo a CROSS JOIN generate_series(1, %s) k"
            " JOIN bench_photo b ON b.n = (a.n * 17 + k * 104729 + 1) %% %s"
            " JOIN bench_voter v ON v.n = (a.n * 13 + k * 7907) %% %s WHERE a.n <> b.n ON CONFLICT DO NOTHING",
            [VOTES // 2, size, size // 10],
        )
        cursor.execute("VACUUM ANALYZE")  # what autovacuum does on a server that runs for longer than a benchmark
    return recognizer


# ---- fairness ----------------------------------------------------------------------------------------------------
def agreement() -> list[dict[str, Any]]:
    """Kendall's tau between the true order of a day's photos and that of each method, the mean of BENCH_DAYS days.

    Likes are the same for all four; "ranking" gets half of them and as many pairs as are then missing, "ranking of likes" only
    likes. Eases of voters differ by `ease` (a deviation, logits); `careless` of the voters toss a coin; `uneven`: some photos
    are shown more often than others, as they are where everybody scrolls.
    """
    from scipy.stats import kendalltau

    from newsletter.bradley_terry import fit

    rows = []
    for votes in (5, 10, 20, 50):
        for ease, careless, uneven in ((0.0, 0.0, False), (1.0, 0.0, False), (1.0, 0.2, True)):
            taus: dict[str, list[float]] = {}
            for seed in range(whole("BENCH_DAYS", 100, 10)):
                quality, likes, both = _day(np.random.default_rng(seed), votes, ease=ease, careless=careless, uneven=uneven)
                good, seen = np.bincount(likes.like_photo, likes.liked, PHOTOS), np.bincount(likes.like_photo, minlength=PHOTOS)
                posterior, alone = fit(both), fit(likes)
                orders = {
                    "like-counts": good,
                    "mean": good / np.maximum(seen, 1),
                    "wilson": _wilson(good, seen),
                    "ranking of likes": alone.quality - 1.645 * alone.sd,
                    "ranking": posterior.quality - 1.645 * posterior.sd,
                }
                for name, order in orders.items():
                    taus.setdefault(name, []).append(float(kendalltau(quality, order).statistic))
            about = {"votes_a_photo": votes, "ease": ease, "careless": careless, "uneven": uneven}
            rows.append(about | {name: round(float(np.mean(values)), 3) for name, values in taus.items()})
    return rows


def rings() -> list[dict[str, Any]]:
    """How many of 100 places a photo that stands in the middle is lifted by 50 accounts that all vote for it.

    200 established voters have given 20 votes a photo. The 50 like it, or call it the better of five pairs each, or both, or
    like each other's photos as well ("mutual": 50 more photos that are not among the 100). New accounts have been made this
    week; young ones have waited for a week and had a photo accepted each.
    """
    rows = []
    for accounts in ("new", "young"):
        for how in ("likes", "pairs", "likes and pairs", "mutual"):
            lifts = [_lift(seed, accounts, how) for seed in range(whole("BENCH_RINGS", 30, 5))]
            rows.append(
                {"ring": how, "accounts": accounts, "places_mean": round(float(np.mean(lifts)), 2), "places_most": max(lifts)}
            )
    return rows


def noise() -> list[dict[str, Any]]:
    """Among 150 voters with 20 votes a photo, how many pairs of clearly different photos stand the wrong way round, when some
    of the voters toss a coin? Clearly different: by three logits, as 18 and 82 likes of a hundred. "turned_known": if it were
    known who does, which is the least that weighing can come to.

    Each has answered ten known pairs: those who toss a coin half of them as they are known, the others 95 %.
    """
    from dataclasses import replace

    from newsletter.bradley_terry import fit
    from newsletter.voters import People, weigh

    rows = []
    for share in (0.0, 0.2, 0.4):
        turned = {"turned_unweighed": 0, "turned": 0, "turned_known": 0}
        pairs = 0
        for seed in range(whole("BENCH_DAYS", 100, 10)):
            rng = np.random.default_rng(seed)
            quality, _, both = _day(rng, 20, ease=1.0, careless=share, uneven=False)
            careless = np.arange(VOTERS) < share * VOTERS
            right = rng.binomial(10, np.where(careless, 0.5, 0.95))
            nobody = np.zeros(VOTERS, bool)
            people = People(right.astype(float), np.full(VOTERS, 10.0), nobody, nobody, np.full(PHOTOS, -1))
            clear = quality[:, None] - quality[None, :] > 3
            pairs += int(clear.sum())
            looks = (~careless).astype(float)
            known = replace(both, like_weight=looks[both.like_voter], pair_weight=looks[both.pair_voter])
            for name, votes in zip(turned, (both, weigh(both, people).votes, known), strict=True):
                posterior = fit(votes)
                score = posterior.quality - 1.645 * posterior.sd
                turned[name] += int((clear & (score[:, None] < score[None, :])).sum())
        rows.append({"careless": share, "clear_pairs": pairs, **turned})
    return rows


def _day(rng: np.random.Generator, votes: int, *, ease: float, careless: float, uneven: bool) -> tuple[np.ndarray, Any, Any]:
    """True qualities; `votes` likes a photo; half as many likes and half as many pairs."""
    from scipy.special import expit

    from newsletter.bradley_terry import Votes

    quality, eases = rng.normal(size=PHOTOS), ease * rng.normal(size=VOTERS)
    tosses = np.arange(VOTERS) < careless * VOTERS
    shown = rng.gamma(2, 1, PHOTOS) if uneven else np.ones(PHOTOS)
    active = rng.gamma(1, 1, VOTERS)  # a few people vote much
    photos = lambda count: rng.choice(PHOTOS, count, p=shown / shown.sum())  # noqa: E731
    voters = lambda count: rng.choice(VOTERS, count, p=active / active.sum())  # noqa: E731

    def likes(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        photo, voter = np.divmod(np.unique(photos(2 * count) * VOTERS + voters(2 * count)), VOTERS)  # one vote a photo
        some = rng.permutation(len(photo))[:count]
        photo, voter = photo[some], voter[some]
        chance = np.where(tosses[voter], 0.5, expit(quality[photo] + eases[voter] + 0.5))
        return photo, voter, (rng.random(len(photo)) < chance).astype(float)

    total = votes * PHOTOS
    all_likes = likes(total)
    half = likes(total // 2)
    first, second = photos(total), photos(total)
    apart = np.flatnonzero(first != second)[: total - len(half[0])]
    first, second, voter = first[apart], second[apart], voters(len(apart))
    chance = np.where(tosses[voter], 0.5, expit(quality[first] - quality[second]))
    better = (rng.random(len(first)) < chance).astype(float)
    return quality, Votes(PHOTOS, VOTERS, *all_likes), Votes(PHOTOS, VOTERS, *half, first, second, voter, better)


def _lift(seed: int, accounts: str, how: str) -> int:
    from newsletter.bradley_terry import Votes, fit
    from newsletter.voters import People, weigh

    rng = np.random.default_rng(seed)
    _, _, honest = _day(rng, 20, ease=1.0, careless=0.0, uneven=False)
    ring, photos = np.arange(VOTERS, VOTERS + 50), PHOTOS + 50

    def places(votes: Votes) -> np.ndarray:
        late = np.arange(votes.voters) >= VOTERS
        none = np.zeros(votes.voters)
        author = np.concatenate([np.full(PHOTOS, -1), ring])
        posterior = fit(weigh(votes, People(none, none, late & (accounts == "new"), late, author)).votes)
        scores = (posterior.quality - 1.645 * posterior.sd)[:PHOTOS]
        return np.asarray((scores[None, :] > scores[:, None]).sum(axis=1))

    def votes(likes: list[tuple[int, int]], pairs: list[tuple[int, int]]) -> Votes:
        voter, photo = np.array(likes, int).reshape(-1, 2).T
        by, other = np.array(pairs, int).reshape(-1, 2).T
        return Votes(
            photos,
            VOTERS + 50,
            np.append(honest.like_photo, photo),
            np.append(honest.like_voter, voter),
            np.append(honest.liked, np.ones(len(voter))),
            np.append(honest.first, np.full(len(by), target)),
            np.append(honest.second, other),
            np.append(honest.pair_voter, by),
            np.append(honest.better, np.ones(len(by))),
        )

    target = 0
    before = places(votes([], []))
    target = int(np.argsort(before, kind="stable")[PHOTOS // 2])
    others = np.delete(np.arange(PHOTOS), target)
    likes = [(one, target) for one in ring] if how != "pairs" else []
    pairs = [(one, other) for one in ring for other in rng.choice(others, 5, replace=False)] if "pairs" in how else []
    if how == "mutual":
        likes += [(one, PHOTOS + other) for one in ring for other in range(50) if one != VOTERS + other]
    return int(before[target] - places(votes(likes, pairs))[target])


def _wilson(good: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The lower end of Wilson's 95 % interval; 0 without votes."""
    n = np.maximum(seen, 1)
    share = good / n
    centre, spread = share + Z95**2 / (2 * n), Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return np.where(seen > 0, (centre - spread) / (1 + Z95**2 / n), 0.0)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    Path(sys.argv[1]).write_text(json.dumps(fill_and_time()))
