"""The picture book's own questions: drawing, reading, editing, talking; the ground truth is the scene."""
