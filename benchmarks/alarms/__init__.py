"""Parts of ``benchmarks/false_alarms.py``: false positives before and after the post-processing, on BUSI."""
