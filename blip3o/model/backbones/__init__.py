"""The language models that think, each a thin wrapper over its `transformers` class."""
