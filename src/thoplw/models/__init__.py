"""From a name to a model without weights, and what to run it on: a zoo a file."""
