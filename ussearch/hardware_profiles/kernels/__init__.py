"""From a network to the kernels that a runtime launches: the unit in which latency and memory are counted."""
