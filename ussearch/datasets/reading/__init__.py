"""How the files of a data set are read: looked at once, all of them, and decided for the set.

``survey`` tells what each file holds; ``label_table``, ``grey_decision`` and ``region_decision`` decide from all of
them, or ask; ``decide`` puts that together. ``Reading`` is what a study and a bundle keep; ``masks`` and ``raw_images``
read files by it, and ``rows`` says it in words.
"""

from ussearch.datasets.reading.model import Folders, LabelRow, MaskReading, Reading, ReadingOptions

__all__ = ["Folders", "LabelRow", "MaskReading", "Reading", "ReadingOptions"]
