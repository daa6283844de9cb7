"""A small space of which every point is trained, so that searches on it can be repeated for nothing."""
