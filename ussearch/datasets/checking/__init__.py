"""The check of a data set: what is in a folder, how it is read, and what is wrong with it."""

from ussearch.datasets.checking.check import check
from ussearch.datasets.checking.report import DataReport

__all__ = ["DataReport", "check"]
