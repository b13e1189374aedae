"""The judges: networks that look at pictures which another model made, and never at that model."""
