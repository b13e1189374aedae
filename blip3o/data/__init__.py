"""Files and worlds -> samples -> batches."""
