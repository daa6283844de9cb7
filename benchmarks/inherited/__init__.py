"""Parts of ``benchmarks/inheritance.py``: children of trained bases, beside trainings from scratch."""
