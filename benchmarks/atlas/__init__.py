"""The atlas of widths: many tasks trained at every width of a ladder, and rules of thumb scored on them.

    python -m benchmarks.atlas sweep    # trains everything; resumes
    python -m benchmarks.atlas store    # writes what was measured to the tables in this folder
    python -m benchmarks.atlas score    # scores the rules, from these tables alone

Whoever tunes a rule looks at the tasks of the part "tuning" only; the table of scores is that of the part
"scoring". Which task belongs to which part was decided before any was trained.
"""
