"""Features, writers (one small class per format) and reports. Reads results, knows no model."""
