"""EXPORT → people: the networks of a search as one picture, accuracy against latency, and the same in words."""

from collections.abc import Sequence

from training.pareto import Network, front
from training.pictures import STYLE, as_svg

MARKS = {"float32": "s", "float16": "^", "int8": "o"}  # forms, so that nobody has to tell formats apart by colour


def in_words(networks: Sequence[Network]) -> str:
    """What the picture shows: the networks that no other beats."""
    said = [
        f"{each.name}: {each.accuracy:.1%} in {each.latency_ms:.2f} ms, {each.bytes / 1e6:.2f} MB" for each in front(networks)
    ]
    return f"Of {len(networks)} networks no other beats {'; '.join(said)}." if said else "No network was tried."


def as_picture(networks: Sequence[Network], name: str) -> bytes:
    """SVG: a mark for each network, its area by the file's size; those that no other beats are joined by a line and named."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    kept = front(networks)
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        for kind in sorted({each.format for each in networks}):
            those = [each for each in networks if each.format == kind]
            axes.scatter(
                [each.latency_ms for each in those],
                [100 * each.accuracy for each in those],
                [20 * each.bytes / 1e6 for each in those],
                marker=MARKS.get(kind, "D"),
                alpha=0.6,
                label=kind,
            )
        axes.plot([each.latency_ms for each in kept], [100 * each.accuracy for each in kept], "--", color="#444444")
        for each in kept:
            at = (each.latency_ms, 100 * each.accuracy)
            axes.annotate(f"{each.width:g} · {each.size}", at, textcoords="offset points", xytext=(5, 5), fontsize=8)
        axes.set(xlabel="ms of an inference, one thread", ylabel="% of held-out photos recognised")
        axes.grid(alpha=0.3)
        axes.legend(title="area: bytes of the file")
        return as_svg(figure, f"Networks that were tried for {name}", in_words(networks))
