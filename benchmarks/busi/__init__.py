"""Parts of ``benchmarks/accuracy.py``: BUSI by its published splits (protocol A)."""
