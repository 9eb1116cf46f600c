"""A run as jobs of SLURM: readable scripts for an array of shards and for the merge that waits for it."""
