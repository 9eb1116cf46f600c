"""Change question answering: the same questions of every tile, and answers for the whole scene that cite tiles."""
