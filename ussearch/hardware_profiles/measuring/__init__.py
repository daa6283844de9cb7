"""Measuring model files: each in a process of its own, pinned, warmed up, and told apart from a busy machine."""
