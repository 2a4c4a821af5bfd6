"""The daemon: one engine and its listeners, put together, started, and ended in order.

``python -m rundlet.daemon`` is what ``rundlet daemon`` becomes by exec. Importing this package imports nothing.
"""
