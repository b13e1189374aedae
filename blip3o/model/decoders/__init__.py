"""The features of an image space -> pixels."""
