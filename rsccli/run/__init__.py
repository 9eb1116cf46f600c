"""The one loop: plan, prefetch, batch, caption, journal; signals."""
