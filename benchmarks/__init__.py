"""Benchmarks of tf_rnn against the libraries one would use instead; not part of the installed package."""
