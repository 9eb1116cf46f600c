"""Retrieval: a text finds its change among many, and a change its text; Recall@1, 5, 10 and the median rank.

LEVIR-CC's unchanged pairs all carry the same five sentences, and many changed ones share theirs: who retrieves another
pair with the very sentence that was asked for is right. Every result is given twice, with such duplicates as equals and
without, beside what chance alone reaches.
"""
