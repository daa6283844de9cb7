"""Latency models behind one interface, how they are fitted, and how good they are."""
