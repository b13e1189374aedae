"""Configs, another value for each of their fields, and what shows that it makes a difference."""
