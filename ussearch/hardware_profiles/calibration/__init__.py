"""Profiles of boards that nobody has published: which networks to measure, measuring them, fitting, checking."""
