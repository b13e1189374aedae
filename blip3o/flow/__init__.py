"""The calculus of flow matching: path, time, solver, guidance. Tensors in, tensors out; 0 is noise, 1 is data."""
