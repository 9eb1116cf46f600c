"""Models over pairs with references: captions, scores, speed, next to published figures."""
