"""Parts of ``benchmarks/search.py``: a search beside full trainings of what is there without one."""
