"""Measurements; each module runs alone and prints one flat JSON object as its last line."""
