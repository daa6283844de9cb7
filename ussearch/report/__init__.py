"""A study explains itself: one HTML file that works offline, made from the records of the study and its bundle.

``material`` gathers what there is; every section is a file with a function that returns data and one that formats it;
``page`` puts them together. Reads studies, pairs and compressions; trains nothing and changes nothing in them.
"""

from ussearch.report.material import Material, gather
from ussearch.report.page import page, write_report

__all__ = ["Material", "gather", "page", "write_report"]
