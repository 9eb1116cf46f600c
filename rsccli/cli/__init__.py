"""One file per command, and ``options``, the registry of every shared flag. Parses, calls, prints."""
