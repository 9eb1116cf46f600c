"""Text metrics, one file each: sums per pair, so that subsets and bootstraps need no second scoring."""
