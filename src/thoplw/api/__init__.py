"""What a user calls, one verb a file, such as profile, count, compare and survey."""
