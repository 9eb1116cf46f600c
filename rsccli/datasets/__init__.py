"""Generated changes over real backgrounds."""
