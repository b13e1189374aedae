"""Pixels -> the features of an image space."""
