"""One file for each family of large models: how it sees, is asked and is exported."""
