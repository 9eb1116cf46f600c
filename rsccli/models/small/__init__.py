"""The bundled captioner: network, export and the runtime of its bundles."""
