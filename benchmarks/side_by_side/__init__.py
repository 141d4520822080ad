"""The same model on the same data with the same arithmetic, in several libraries, measured in turns."""
