"""Errors that a user can cause, as opposed to defects of the program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one sentence that names what was given, what was expected and the hint. The command
    line prints it without a traceback and exits with status 2.
    """


@dataclass(frozen=True)
class Answer:
    """One reading of what was found: what it means, and the options, by keyword, that choose it."""

    meaning: str
    options: Mapping[str, str | bool]


class Question(UserError):
    """Files admit several readings, and only the user knows which is meant.

    The command line prints ``rows`` below ``head`` (what was found) and one complete command for each of ``answers``.

    Args:
        sentence: what was found and what has to be decided, one sentence without its hint.
        head: the columns' names of the table.
        rows: what was found.
        answers: the readings, the likeliest first.
    """

    def __init__(
        self, sentence: str, head: Sequence[str], rows: Sequence[Sequence[object]], answers: Sequence[Answer]
    ) -> None:
        self.sentence = sentence
        self.head = tuple(head)
        self.rows = tuple(tuple(str(cell) for cell in row) for row in rows)
        self.answers = tuple(answers)
        choices = "; or ".join(
            f"{', '.join(f'{name}={value!r}' for name, value in each.options.items())} ({each.meaning})"
            for each in answers
        )
        super().__init__(f"{sentence}: choose {choices}.")
