"""The detector of drawn objects that judges pictures: its network, its training, and what it is asked."""
