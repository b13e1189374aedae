"""What a stage of training minimises."""
