"""Benchmarks of pictures changed by instruction."""
