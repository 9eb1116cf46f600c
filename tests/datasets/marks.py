"""Where the marked place of the little data is marked."""

MARK = (88.0, 88.0, 168.0, 168.0)
