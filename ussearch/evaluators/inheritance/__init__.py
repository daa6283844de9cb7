"""Weights that are there already: a candidate starts from a trained relative."""

from ussearch.evaluators.inheritance.relative import Inheritance, Relative
from ussearch.evaluators.inheritance.transfer import inherit

__all__ = ["Inheritance", "Relative", "inherit"]
