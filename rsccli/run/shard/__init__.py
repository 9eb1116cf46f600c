"""One run in parts: shard i of n captions its share of the superblocks, and a merge puts the parts together."""

from rsccli.run.shard.name import SUFFIX, Shard, parse_shard, shard_folder, shard_path

__all__ = ["SUFFIX", "Shard", "parse_shard", "shard_folder", "shard_path"]
