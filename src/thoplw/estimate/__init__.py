"""Answers computed from a record alone, without torch: memory, traffic, time."""
