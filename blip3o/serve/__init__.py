"""The server: HTTP in front of the engine, in the forms that existing clients speak."""
