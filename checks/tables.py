"""A table that tests of formats write: names and units that mean something in one of them."""

from __future__ import annotations

from thoplw.render.table import Table

TABLE = Table(
    columns=("Name", "Class", "Input shape", "MACs", "Params"),
    rows=(
        ("conv1", "Conv2d", "3 x 224 x 224", "118.01 M", "  9.41 K"),
        ("add", "Add|Mul", "64 x 56 x 56, 64 x 56 x 56", "  0.00  ", "  0.00  "),
        ("fc", 'Linear "int8"', "512", "513.00 K", "513.00 K"),
        ("1", "007", "1e5", "12.50", ""),
    ),
    footer=("Total", "ResNet", "3 x 224 x 224", "  1.82 G", " 11.70 M"),
    notes=("Not counted: lib.op.default (1 call in fc).", "Never ran: head (650 parameters)."),
)
