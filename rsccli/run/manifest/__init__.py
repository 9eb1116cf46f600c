"""Many pairs from one list: read and checked, captioned one after another, told in one summary."""
