"""The instructions that the field puts after a question (LLaVA-1.5, arXiv 2310.03744, table 10)."""

SHORT = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."
