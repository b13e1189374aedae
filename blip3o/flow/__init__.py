"""The calculus of flow matching: path, time, solver, guidance. Tensors in, tensors out; t = 0 is noise, t = 1 is data."""
