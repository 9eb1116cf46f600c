"""A run on workers of dask.distributed: a thin adapter; each task is a shard or a scene, run as everywhere."""
