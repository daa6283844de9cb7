"""Parts of ``benchmarks/pretrained.py``: networks that start from weights that others trained, beside the same from
chance."""
