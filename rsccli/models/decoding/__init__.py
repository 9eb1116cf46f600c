"""From image tokens to words: ``lean`` (onnxruntime alone) and ``optimum`` (every generation option)."""
