"""Comparison of libraries that train the same model on the same data, measured in alternating turns."""
