"""TensorFlow networks written again as torch modules, to list their operators."""
