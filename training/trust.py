"""SNAPSHOT → FINE-TUNE: which accounts a night does not learn from, because most of what they sent looks mislabelled.

Pure: neither Django nor TensorFlow. One wrong label is for a moderator to mend; an account that labels everything wrongly bends
the night meanwhile, long before anybody has looked at all it sent. How many of an account's photos are suspects is held against
how many of everybody else's are, and how much other accounts differ in that: where whole scenes or labels are doubted, because
few have shown them, nobody stands out. Each account that does is judged once more, without the others that do and without the
one that has most suspects of the rest: who labels one thing wrongly often enough brings those into doubt who label it rightly.

Out of scope: accounts that collude. Several that tell the same lie vouch for one another, and above a certain share what they
say is what a label means. Nor is an account found that lies about less than half of its photos, or that photographs few things
only: it cannot be told from one whose photos are hard to recognise, and that one must not be left out.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training import groups

# Of an account. With fewer photos a bad afternoon is half of them, and they do little: 10 of 1,000 are a hundredth.
LEAST_PHOTOS = 10
# Of its photos that are clear suspects, "most of them": of real photos 62 to 78 % of a liar's are, and at most 30 % of those of
# an honest account that sends a bit of everything.
LEAST_SHARE = 1 / 2
# Share of nights in which any honest account stands out by chance. All accounts share it (Bonferroni): for one it is this
# divided by their number. Once in three years; then it must stand out again without the others that do.
ALARMS = 1e-3
# How much accounts differ at least, as the correlation of doubts within one: 0 is chance alone, 1 all or nothing. It is
# estimated from all others; a handful of accounts may look alike by chance.
LEAST_SPREAD = 0.05
MOST_SPREAD = 0.99  # a beta distribution has less than 1
# Accounts that are held against all others together. One alone would hide another: with it among the others, these seem to
# differ so much that nobody stands out.
AT_ONCE = 5

# Share of an account's photos that count as taken for the same label, beside that label's even share. Photos that are all dark,
# or all from far away, look like one and the same thing: up to 88 % of an honest account's were clear suspects, at most 25 % if
# counted like this. What a liar sends shows as many things as other photos do.
ALIKE = 0.1
ALIKE_MOST = 0.4  # with two labels
NONE = -1

# (rows of the photos) → int, as what each of them is a clear suspect (Suspicion.clear) when nothing but these photos is known;
# NONE for the others
Doubts = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Distrusted:
    """`account` is the pseudonym of a snapshot's groups: it goes to no page and into no file. Of its `photos` so many were
    `suspects`."""

    account: str
    photos: int
    suspects: int


def distrusted(*, of: Sequence[str], truth: np.ndarray, doubts: Doubts) -> list[Distrusted]:
    """The accounts not to learn from. `of` are the groups of a snapshot's entries and `truth` int [n] the claimed labels of the
    same photos; `doubts` is asked about all of them, and again for each account that stands out."""
    accounts = np.array([groups.volunteer(group) or "" for group in of], object)  # "": an owner's import; the owner is trusted
    taken_for = doubts(np.arange(len(accounts)))
    first = _standing_out(accounts, truth, taken_for)
    names = {each.account for each in first}
    rest = Counter(account for account in accounts[taken_for != NONE] if account and account not in names)
    # A liar that sends good photos as well does not stand out itself, and may still be why another one does.
    rivals = names | {max(sorted(rest), key=lambda name: rest[name])} if rest else names
    found = []
    for each in first:
        rows = np.flatnonzero([account == each.account or account not in rivals for account in accounts])
        again = _standing_out(accounts[rows], truth[rows], doubts(rows))
        found += [each for other in again if other.account == each.account]
    return found


def _standing_out(accounts: np.ndarray, truth: np.ndarray, taken_for: np.ndarray) -> list[Distrusted]:
    """The accounts of which more photos are suspects than those of the others explain; by name."""
    shown: dict[int, set[str]] = defaultdict(set)
    for account, label in zip(accounts, truth.tolist(), strict=True):
        shown[label].add(account)
    counted = np.array([len(shown[label]) > 1 for label in truth.tolist()], bool)  # what nobody else shows cannot be judged
    suspected = taken_for != NONE
    sent, doubted = Counter(accounts[counted]), Counter(accounts[counted & suspected])
    alike = min(ALIKE_MOST, ALIKE + 1 / max(1, len(shown)))

    def different(name: str) -> int:
        same = Counter(taken_for[counted & suspected & (accounts == name)].tolist())
        return sum(min(times, math.ceil(alike * sent[name])) for times in same.values())

    many = [name for name in sent if name and sent[name] >= LEAST_PHOTOS and doubted[name] >= LEAST_SHARE * sent[name]]
    hits = {name: different(name) for name in many}
    most = [name for name in many if hits[name] >= LEAST_SHARE * sent[name]]
    most.sort(key=lambda name: (-hits[name] / sent[name], -sent[name], name))
    limit = ALARMS / max(1, sum(1 for name in sent if name))
    for count in range(min(AT_ONCE, len(most)), 0, -1):
        out = most[:count]
        others = [name for name in sent if name not in out]
        if all(_by_chance(hits[name], sent[name], others, sent, doubted) <= limit for name in out):
            whose = [(name, accounts == name) for name in sorted(out)]
            return [Distrusted(name, int(theirs.sum()), int((theirs & suspected).sum())) for name, theirs in whose]
    return []


def _by_chance(hits: int, of: int, others: Sequence[str], sent: Counter[str], doubted: Counter[str]) -> float:
    """How likely an account has `hits` suspects `of` so many or more, if it is like the `others`: a beta-binomial tail.

    Its mean and spread are theirs. One suspect and one that is none are added: without any, nothing would be likely. The spread
    follows from the sum of squares over accounts (the moment estimator; imports, which are no account's, count for the mean).
    """
    from scipy.stats import betabinom  # loaded where a night runs

    rate = (sum(doubted[name] for name in others) + 1) / (sum(sent[name] for name in others) + 2)
    sizes = np.array([sent[name] for name in others if name], float)
    theirs = np.array([doubted[name] for name in others if name], float)
    pairs = float((sizes * (sizes - 1)).sum())
    squares = float(((theirs - rate * sizes) ** 2).sum()) / (rate * (1 - rate))
    spread = min(max((squares - sizes.sum()) / pairs if pairs else 0.0, LEAST_SPREAD), MOST_SPREAD)
    weight = 1 / spread - 1
    return float(betabinom.pmf(np.arange(hits, of + 1), of, rate * weight, (1 - rate) * weight).sum())


# ---- for people --------------------------------------------------------------------------------------------------
def sentence(found: Sequence[Distrusted], held_out: int) -> str:
    """For the run; "" where every account is trusted. Says how many, not who: the queue shows the photos. `held_out` of them
    are test photos."""
    if not found:
        return ""
    sums = summed(found)
    whose = "One account's" if len(found) == 1 else f"{len(found)} accounts'"
    judging = f" {held_out} are held out and judge until a moderator decides." if held_out else ""
    return (
        f"{whose} photos ({sums['photos']}) were not learned from: {sums['suspects']} of them look mislabelled; look at them "
        f"in the queue.{judging}"
    )


def summed(found: Sequence[Distrusted]) -> dict[str, int]:
    """For the run's metrics."""
    photos, suspects = (sum(getattr(each, name) for each in found) for name in ("photos", "suspects"))
    return {"accounts": len(found), "photos": photos, "suspects": suspects}
