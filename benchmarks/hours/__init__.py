"""Parts of ``benchmarks/worth.py``: a run of the search beside the same hours spent on published networks."""
