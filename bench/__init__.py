"""Rundlet beside dockerd, measured alternately in one run: ``make bench``.

Both engines are real daemons on data roots of their own, get the same requests from the same small client, run
the same busybox image and no network. Without dockerd our figures are printed alone. What it will not do:
judge; the table shows the ratio, ``build/bench.json`` holds the raw percentiles.
"""
