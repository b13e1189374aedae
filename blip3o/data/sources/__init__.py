"""Where samples come from: one file per format, all behind the protocol of source.py."""

SOURCES: dict[str, str] = {}
"""Short names of sources -> `module:Class`; any other source is named by such a string itself."""
