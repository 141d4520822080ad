"""Measurements of tf_rnn, side by side with what a user would take instead; not installed with it."""
