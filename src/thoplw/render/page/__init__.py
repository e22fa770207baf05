"""One HTML file that shows a profile: a chart of the module tree beside a table, with everything it needs inside.

d3 lays out the chart, an icicle, which shows depth as columns and leaves room for names, and binds its slices to the
modules. These two parts of d3 are 28 kB, where a library of ready charts is from one megabyte to five. Tabulator is the
table: it draws only the rows in view, so that thousands open at once, and needs no framework. No Python package carries
them, so they lie in ``vendor/``.
"""

from thoplw.render.page.page import page

__all__ = ["page"]
