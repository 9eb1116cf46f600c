"""Search in a captioned map: an index of captions and, with a dual encoder, of pictures; and questions in words."""
