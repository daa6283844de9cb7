"""From a finished search to a pair: chosen, trained at full length, compressed, exported."""
