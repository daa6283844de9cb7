"""Helpers of ``kills.py``: which operations a command does, killing it at one of them, and what is left then."""
