"""EDITION: words of volunteers and editors made safe to print: one line, no hidden direction changes, a length."""

import unicodedata

ELLIPSIS = "…"
# Marks that turn the reading direction of what follows: with them a name could rewrite the words around it.
DIRECTION_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def one_line(text: str, limit: int) -> str:
    """`text` in NFC on one line of at most `limit` characters, without control characters and direction marks.

    Line breaks of every kind become blanks, so nothing that went through here can begin a header of its own.
    """
    words = "".join(" " if _breaks(char) else char for char in unicodedata.normalize("NFC", text)).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + ELLIPSIS


def paragraphs(text: str) -> str:
    """`text` line by line as `one_line` has it; at most one empty line between two others."""
    lines = [one_line(line, len(line) + 1) for line in text.splitlines()]
    kept = [line for place, line in enumerate(lines) if line or (place and lines[place - 1])]
    return "\n".join(kept).strip("\n")


def _breaks(char: str) -> bool:
    # Cc: controls, CR and LF among them; Cs: halves of a character that no encoding can write; Zl, Zp: line separators.
    return char in DIRECTION_MARKS or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
