"""The bearer token that a client shows and a server asks for."""

from __future__ import annotations

import os
from pathlib import Path

from ussearch.errors import UserError

TOKEN_VARIABLE = "USSEARCH_TOKEN"
SHORTEST_TOKEN = 16


def read_token(path: Path | None) -> str | None:
    """Return the token in the file, else that in the environment, else None.

    Command lines are seen by every user of a machine: that is why there is no option for the token itself. Raises
    UserError for a file that cannot be read, and for a token that is short or cannot be sent.
    """
    try:
        text = os.environ.get(TOKEN_VARIABLE) if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UserError(f"The token cannot be read from {path}: give a text file that holds nothing else.") from error
    if text is None:
        return None
    token = text.strip()
    if len(token) < SHORTEST_TOKEN or not printable(token):
        where = TOKEN_VARIABLE if path is None else str(path)
        raise UserError(
            f"{where} holds no token: expected at least {SHORTEST_TOKEN} letters, digits or signs of ASCII."
        )
    return token


def printable(token: str) -> bool:
    """Whether a header can carry the token: visible ASCII, no blanks."""
    return bool(token) and all("!" <= letter <= "~" for letter in token)
