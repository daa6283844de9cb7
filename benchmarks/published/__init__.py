"""Published latency measurements: reading them, fitting models to them, judging the models."""
