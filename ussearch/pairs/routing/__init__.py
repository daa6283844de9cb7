"""Which images the edge answers for and which go to the cloud: scores, learned gain, thresholds, and what it is worth."""
