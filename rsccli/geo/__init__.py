"""Rasters, one grid for both dates, tiles, radiometry, registration, footprints. Knows no model."""
