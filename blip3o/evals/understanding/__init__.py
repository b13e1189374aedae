"""Benchmarks of reading: one file each."""
