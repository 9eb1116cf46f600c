"""A data set as a folder: image pairs with counts of buildings, prompts, and what could not be used.

What writes one (xBD folders, a labelled GeoTIFF pair) and what reads one (teachers) share this layout:

| file | what |
|---|---|
| ``images/`` | both dates of every pair |
| ``annotated/`` | the later date with outlines drawn on it, for the visual regime |
| ``pairs.jsonl`` | one `LabelledPair` a line |
| ``prompts.jsonl`` | one prompt a line, three for every pair |
| ``footprints.geojson`` | where georeferenced pairs lie |
| ``problems.jsonl`` | one `Problem` a line |
| ``dataset.json`` | facts of the whole; written last: a folder without it is not finished |
"""
