"""The model with its words: pictures and text in, pictures and text out, one seed per picture."""
