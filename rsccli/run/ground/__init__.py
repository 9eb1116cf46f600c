"""Grounding: where a phrase is, as polygons of a change mask or as boxes that a large model writes."""
