"""Bundles, sessions, decoders and the captioner registry. Knows no raster file."""
