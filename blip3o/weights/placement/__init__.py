"""Where a model's tensors are while it works: the device, the files they wait in, rounded matrices, memory."""
