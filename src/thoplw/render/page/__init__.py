"""One HTML file that shows a profile: a chart of the module tree beside a table, with everything it needs inside.

Plotly draws the chart: it has an icicle, which shows depth as columns and leaves room for names, and pip installs it.
Tabulator is the table: it draws only the rows in view, so that thousands open at once, and needs no framework. No
Python package carries it, so it lies in ``vendor/``.
"""

from thoplw.render.page.page import page

__all__ = ["page"]
