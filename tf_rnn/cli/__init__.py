"""The command line: a projection of the declared options onto the verbs of the package."""
