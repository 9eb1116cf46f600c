"""A time series: images found and dated, one grid for all, a pair after another, one timeline."""
