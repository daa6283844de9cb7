"""Which images the edge answers for and which go to the cloud: scores, gain, thresholds, and what all that is worth."""
