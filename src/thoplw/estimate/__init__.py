"""Answers computed from records and their figures, without torch: memory, time, generation and formulas."""
