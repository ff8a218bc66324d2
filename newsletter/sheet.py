"""INBOX: a mail that is written down once, with marks where each reader's own words go; a reader's copy is those words put in.

Writing a mail down (parts, encodings, a third of a megabyte of pictures) takes longer than sending it, and an edition's mails
differ in some hundred bytes. Texts are quoted-printable, whatever is in them: seven bits pass every relay unchanged, which a
signature needs (RFC 6376, 5.3), and no line grows beyond 76 characters where words are put in.
"""

import io
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email import quoprimime
from email.generator import BytesGenerator
from email.message import Message

TEXT, HTML, HEADER = "text/plain", "text/html", "header"
LINE_CHARS = 75  # of a quoted-printable line; 76 are allowed, and a line may get the = of a soft break (RFC 2045, 6.7)
SOFT_BREAK = b"=\r\n"
Piece = bytes | tuple[str, str]  # as it travels, or (where, mark): a reader's own words go there


@dataclass(frozen=True)
class Sheet:
    pieces: tuple[Piece, ...]

    def filled(self, *, headers: Mapping[str, str], text: Mapping[str, str], html: Mapping[str, str]) -> bytes:
        """One reader's mail with CRLF line ends; words by mark, headers by name and in ASCII already.

        Raises ValueError for a header of several lines, which could add others, KeyError for a mark without words.
        """
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise ValueError("a header of the reader's own is not one line of ASCII")
        own = {
            HEADER: {name: value.encode() for name, value in headers.items()},
            TEXT: {mark: quoted(words) for mark, words in text.items()},
            HTML: {mark: quoted(words) for mark, words in html.items()},
        }
        return b"".join(piece if isinstance(piece, bytes) else own[piece[0]][piece[1]] for piece in self.pieces)


def sheet(message: Message, *, headers: Iterable[str], marks: Iterable[str]) -> Sheet:
    """Writes `message`, which it changes, down for good. `headers`: names of fields that each reader gets anew; `marks`: what
    stands in its plain text and in its HTML for words of the reader's own."""
    places: dict[str, list[Piece]] = {}

    def place(pieces: list[Piece]) -> str:
        token = f"place-{secrets.token_hex(16)}"  # in no text; nobody who writes one can know it
        places[token] = pieces
        return token

    for name in headers:
        message.replace_header(name, place([(HEADER, name)]))
    for part in message.walk():
        if (kind := part.get_content_type()) in (TEXT, HTML):
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            part.replace_header("Content-Transfer-Encoding", "quoted-printable")
            # Message's own method: Django's would choose another encoding again.
            Message.set_payload(part, place(_marked(content.decode(), kind, list(marks))))
    whole = re.split(b"(%b)" % b"|".join(token.encode() for token in places), written(message))
    pieces = [inside for piece in whole for inside in places.get(piece.decode("ascii", "replace"), [piece])]
    return Sheet(tuple(pieces))


def written(message: Message) -> bytes:
    """A message as it travels, with CRLF line ends."""
    buffer = io.BytesIO()
    # maxheaderlen 0: List-Unsubscribe stays on one line, where every program finds it; what is long is folded already.
    BytesGenerator(buffer, mangle_from_=False, maxheaderlen=0).flatten(message, linesep="\r\n")
    return buffer.getvalue()


def quoted(words: str) -> bytes:
    """Quoted-printable with CRLF line ends; the last line leaves room for a soft break."""
    lines = re.sub(r"\r\n|\r", "\n", words).encode().decode("latin-1")
    return quoprimime.body_encode(lines, maxlinelen=LINE_CHARS, eol="\r\n").encode("ascii")


def _marked(content: str, kind: str, marks: list[str]) -> list[Piece]:
    pieces: list[Piece] = []
    for piece in re.split("(%s)" % "|".join(map(re.escape, marks)), content):  # noqa: UP031  braces are common in a pattern
        pieces += [SOFT_BREAK, (kind, piece), SOFT_BREAK] if piece in marks else [quoted(piece)]
    return pieces
