"""The networks of the model: no files, no strings, no clock."""
