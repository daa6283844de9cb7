"""Layer lists of networks whose latencies others published."""
