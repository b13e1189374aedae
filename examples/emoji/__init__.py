"""Emoji in two styles: a source, objectives, a judge and a benchmark of one's own, outside of the package."""
