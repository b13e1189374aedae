"""How well a model draws what it was asked for."""
