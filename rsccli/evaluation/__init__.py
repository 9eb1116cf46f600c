"""Records, protocols, metrics, retrieval and probes: how well captions agree with what people wrote."""
