"""A candidate as a base and edits of it, each with a value that leaves it as it is."""

from ussearch.search_spaces.edits.apply import edited
from ussearch.search_spaces.edits.choices import EDITS, SAME, edit_choices, neutral, sentence

__all__ = ["EDITS", "SAME", "edit_choices", "edited", "neutral", "sentence"]
