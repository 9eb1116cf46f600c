"""Captions of a data set by a teacher: one of our captioners, or a model behind an OpenAI-compatible endpoint."""
