"""Probes: what a captioner does when its input changes in a known way. They need no labels, and use those there are."""
