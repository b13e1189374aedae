"""The heads that imagine: what enters the slot, and how it is graded and sampled."""
