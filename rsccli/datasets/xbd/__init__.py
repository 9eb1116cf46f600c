"""xBD (Gupta et al. 2019) to pairs of 512 px with counts and prompts, as RSCC (Chen et al. 2025) does."""
