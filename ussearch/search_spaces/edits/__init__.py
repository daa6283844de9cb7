"""A candidate as a base and edits of it, each with a value that leaves it as it is."""

from ussearch.search_spaces.edits.apply import edited
from ussearch.search_spaces.edits.choices import EDITS, SAME, edit_choices, neutral, sentence
from ussearch.search_spaces.edits.space import EditSpace

__all__ = ["EDITS", "SAME", "EditSpace", "edit_choices", "edited", "neutral", "sentence"]
