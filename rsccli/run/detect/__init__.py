"""Detection: change probability of every pixel, stitched over tiles, as polygons and rasters."""
