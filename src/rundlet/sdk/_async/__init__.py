"""The client: ``_async`` is its source, ``_sync`` is generated from it by ``tools/unasync.py``."""
