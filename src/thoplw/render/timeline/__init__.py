"""A page that shows memory over time, and what is there at any moment; it loads nothing from anywhere."""

from thoplw.render.timeline.timeline import Timeline, timeline_page

__all__ = ["Timeline", "timeline_page"]
