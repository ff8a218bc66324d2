"""EVALUATE → people: learning curves and the confusion matrix as SVG that a screen reader can read; the same in words.

matplotlib takes a second to load and 40 MB: it is imported where something is drawn, which only a run's own process does.
"""

import io
from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from training.account import Account, History, curves, ends

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL_IN = (0.34, 0.21)  # inches of a cell: with few labels, and from MANY on; at 0.21 two digits of 7 points still fit
MANY = 20
LABEL_LETTERS = 30  # of a label beside the matrix; the table behind the picture has it whole
LETTER_IN = 0.078  # inches, of the widest usual letter at 8 points
DARK = 0.55  # share of a row from which its number is written in white
TOP = 3  # mistakes that a description names
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and scaled
    "svg.hashsalt": "photorally",  # the same night draws the same bytes
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
}
LINES = ("-", "--", "-.", ":")  # nobody has to tell series apart by colour alone
COLOURS = ("#0b5394", "#b45f06", "#38761d", "#741b47", "#444444")  # each 4.5 : 1 and more on white


# ---- in words ----------------------------------------------------------------------------------------------------
def curves_in_words(history: History) -> str:
    """What the learning curves show: where each series began and ended."""
    shown = curves(history)
    parts = [f"{_plain(name)} from {_number(v[0])} to {_number(v[-1])} in {len(v)} epochs" for name, v in shown.items()]
    parts += [f"{_plain(name)} {_number(value)} at the end" for name, value in ends(history).items() if name not in shown]
    return f"Learning curves: {'; '.join(parts)}." if parts else "Learning curves: nothing was recorded."


def curves_as_rows(history: History) -> list[tuple[str, str, str, str]]:
    """(series, first, last, epochs) as text, for those who do not see the curves."""
    shown = curves(history)
    return [
        (_plain(name), _number(shown[name][0]) if name in shown else "–", _number(last), str(len(shown.get(name, "1"))))
        for name, last in ends(history).items()
    ]


def confusion_in_words(report: Mapping[str, Any]) -> str:
    """What the confusion matrix shows: how many were right, and the most frequent mistakes. `report`: training.evaluate."""
    right = f"Confusion matrix: {report['right']} of {report['n']} held-out photos right."
    worst = [f"{pair['truth']} taken for {pair['predicted']} ({pair['n']})" for pair in report.get("confusions", [])[:TOP]]
    return f"{right} Most frequent mistakes: {', '.join(worst)}." if worst else f"{right} No mistakes."


# ---- drawn -------------------------------------------------------------------------------------------------------
def learning_curves(account: Account) -> bytes | None:
    """SVG: losses and accuracies by epoch; None where there is nothing to draw."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    lines, last = curves(account.history), ends(account.history)
    panels = {"loss": [n for n in last if "accuracy" not in n], "accuracy": [n for n in last if "accuracy" in n]}
    shown = {panel: names for panel, names in panels.items() if names}
    if not shown:
        return None
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 2.9 * len(shown)), layout="constrained")
        for axes, (panel, names) in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown.items(), strict=True):
            for name, dash, colour in zip(names, cycle(LINES), cycle(COLOURS), strict=False):
                if name in lines:
                    axes.plot(range(1, len(lines[name]) + 1), lines[name], dash, color=colour, label=_plain(name))
                else:  # measured once, at the end of its phase
                    epochs = len(lines.get(name.replace("accuracy", "loss"), [0]))
                    axes.plot([epochs], [last[name]], "D", color=colour, label=f"{_plain(name)}, at the end")
            axes.set(xlabel="epoch", ylabel=panel, ylim=(0, 1.02) if panel == "accuracy" else None)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
        return as_svg(figure, f"Learning curves of {account.name}, {account.slot}", curves_in_words(account.history))


def confusion_matrix(account: Account) -> bytes | None:
    """SVG: a row for what photos showed, a column for what the int8 file took them for; None without a held-out photo.

    A cell's colour is its share of the row, its number the photos; empty cells stay white. A cell keeps its size however many
    labels there are, so the picture grows (81 labels: 1,900 pixels) instead of becoming unreadable.
    """
    from matplotlib import colormaps, rc_context
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    counts, report = account.confusion, account.reports.get("int8")
    if not counts.sum() or report is None:
        return None
    names = [_short(label) for label in account.labels]
    many, cell = len(names), CELL_IN[len(names) > MANY]
    room = max(map(len, names)) * LETTER_IN + 0.5
    width, height = room + many * cell + 0.2, room + many * cell + 0.6
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows, columns = np.nonzero(counts)
    with rc_context(STYLE):
        figure = Figure(figsize=(max(width, 4.5), height))
        axes = figure.add_axes((room / max(width, 4.5), 0.2 / height, many * cell / max(width, 4.5), many * cell / height))
        squares = [[(c, r), (c + 1, r), (c + 1, r + 1), (c, r + 1)] for r, c in zip(rows, columns, strict=True)]
        colours = colormaps["Blues"](0.15 + 0.85 * shares[rows, columns])
        # Vector squares and not a bitmap: a bitmap in an SVG is a data: address, which the answer's CSP forbids.
        axes.add_collection(PolyCollection(squares, facecolors=colours, edgecolors="none"))
        for row, column in zip(rows, columns, strict=True):
            ink = "white" if shares[row, column] > DARK else "black"
            middle = (column + 0.5, row + 0.5)
            axes.text(*middle, str(counts[row, column]), color=ink, fontsize=7, ha="center", va="center")
        axes.plot([0, many], [0, many], color="#999999", linewidth=0.4)  # where the right answers are
        axes.set(xlim=(0, many), ylim=(many, 0), xlabel="taken for", ylabel="shows")
        axes.set_xticks(np.arange(many) + 0.5, names, rotation=90, fontsize=8)
        axes.set_yticks(np.arange(many) + 0.5, names, fontsize=8)
        axes.set_xticks(np.arange(many + 1), minor=True)
        axes.set_yticks(np.arange(many + 1), minor=True)
        axes.grid(which="minor", color="#dddddd", linewidth=0.4)
        axes.tick_params(which="both", length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.xaxis.set_label_position("top")
        return as_svg(figure, f"Confusion matrix of {account.name}, {account.slot}", confusion_in_words(report))


def as_svg(figure: "Figure", title: str, description: str) -> bytes:
    """The figure with a name and a description, as WAI-ARIA Graphics and SVG 2 (5.8) have assistive technology read them."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawn = file.getvalue().decode()
    head, body = drawn[drawn.index("<svg") :].split(">", 1)  # without the document type: no parser shall fetch a DTD
    head += f" role={quoteattr('img')} aria-labelledby={quoteattr('title description')}>"
    said = f'<title id="title">{escape(title)}</title><desc id="description">{escape(description)}</desc>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{said}{body}'.encode()


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _short(label: str) -> str:
    # "$" begins a formula for matplotlib, and a label is none.
    short = label if len(label) <= LABEL_LETTERS else f"{label[: LABEL_LETTERS - 1]}…"
    return short.replace("$", r"\$")


def _number(value: float) -> str:
    return f"{value:.3g}"
