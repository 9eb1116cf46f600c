"""Large vision-language models: from a checkpoint to a bundle, and the bundle's runtime."""
