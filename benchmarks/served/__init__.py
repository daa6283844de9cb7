"""What ``serving.py`` measures: processes, the overhead of the way, faults and endurance."""
