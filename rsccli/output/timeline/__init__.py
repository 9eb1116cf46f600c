"""A time series: pairs of one place at many dates, put together as one timeline."""
