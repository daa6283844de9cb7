"""Weights that are there already: a candidate starts from a trained relative."""
