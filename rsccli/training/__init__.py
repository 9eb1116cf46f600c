"""Training of the small captioner."""
