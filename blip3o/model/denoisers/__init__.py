"""The diffusion transformers that a flow head uses."""
