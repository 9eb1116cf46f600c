"""Torch modules and image geometry of the families, where they need more than one file."""
