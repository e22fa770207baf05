"""Conventions that give the figures of other tools, one tool a file.

They mirror what a tool says of a model in evaluation, as a run of thoplw always is: of a model left in training mode,
with its dropout and auxiliary heads, a tool may say otherwise.
"""
