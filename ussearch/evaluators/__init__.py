"""To be described by the folder's first code."""
