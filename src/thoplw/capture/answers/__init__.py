"""How a run without arithmetic answers operators: what they return, what is assumed, and what is refused.

For example, ``x.nonzero()`` returns a tensor whose length depends on values: :mod:`.data_dependent` says what is
assumed of it. The runs of :mod:`thoplw.capture` ask these files.
"""
