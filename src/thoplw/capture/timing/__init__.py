"""Time what really runs: a model layer by layer, and products of matrices that tell the peaks of a device."""
