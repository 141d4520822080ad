"""Styles of truncated backpropagation on a text of words: sliding windows against blocks, over widths.

    python -m benchmarks.styles                                        # the text that ships with Python
    python -m benchmarks.styles --data ptb --state-size 200 ...        # Penn Treebank; see the report

After R2RT, "Styles of truncated backpropagation" (2016).
"""
