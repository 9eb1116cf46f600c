"""What a run tells of itself while it works: events, metrics, and its state for those who ask."""
