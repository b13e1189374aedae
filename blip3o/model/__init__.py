"""The machine: networks only; no files, no strings, no clock."""
