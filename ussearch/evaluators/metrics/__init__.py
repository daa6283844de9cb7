"""What predictions are worth against masks, image by image and in summary."""
