"""The pair at work, on ``runtime`` alone: the client on the device, the cloud's server, the runner for the board."""
