"""The command line: Docker's commands, flags, words and exit codes over the SDK.

A client like any other: what it knows of an engine it learns through the Engine API. It never imports
the engine's own packages; ``rundlet daemon`` executes them in a fresh interpreter.
"""
