"""What becomes of a network's probabilities, chosen on calibration images and written down with its reasons."""
