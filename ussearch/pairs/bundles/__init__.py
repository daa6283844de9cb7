"""The bundle, which holds a pair with its evidence: written, described, verified."""
