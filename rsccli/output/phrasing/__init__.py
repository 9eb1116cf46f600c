"""A model phrases the scene's paragraph: what it is told, and what of its words is let through."""
