"""Training one network by one recipe: engine, losses, average of weights, checkpoints."""
