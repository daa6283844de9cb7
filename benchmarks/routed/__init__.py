"""What routing is worth, seed by seed: the data sets, the trainings behind their tables, and the figures of those."""
