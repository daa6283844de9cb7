"""Which images train, select, calibrate and judge: dealt by groups, or as published.

``split`` divides, ``stratified`` deals groups out, ``files`` and ``formats`` read published splits.
"""

from ussearch.datasets.splits.split import DEFAULT_FRACTIONS, PARTS, Split, k_folds, leaking_groups_of, split

__all__ = ["DEFAULT_FRACTIONS", "PARTS", "Split", "k_folds", "leaking_groups_of", "split"]
