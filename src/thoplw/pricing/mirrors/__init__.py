"""Conventions that give the figures of other tools, one tool a file."""
