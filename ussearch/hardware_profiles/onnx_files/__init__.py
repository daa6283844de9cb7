"""Model files: written within a device's rules, and checked against them."""
