"""What a user calls, one verb a file: profile, count, compare, diff, budget, survey."""
