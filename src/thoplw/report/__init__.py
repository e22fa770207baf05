"""The profile as people see it: rows, totals, views, and what is not known."""
