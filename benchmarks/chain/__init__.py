"""Networks and single runs of ``compression.py``."""
