"""A study explains itself: one HTML file that works offline, made from the records of the study and its bundle.

``report_data`` gathers what there is; every section is a file with a function that returns data and one that formats
it; ``page`` puts them together. Reads studies, pairs and compressions; trains nothing and changes nothing in them.
"""

from ussearch.report.page import page, write_report
from ussearch.report.report_data import ReportData, gather

__all__ = ["ReportData", "gather", "page", "write_report"]
