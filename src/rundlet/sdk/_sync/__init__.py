# Generated from src/rundlet/sdk/_async/__init__.py by tools/unasync.py; do not edit.
"""The client: ``_async`` is its source, ``_sync`` is generated from it by ``tools/unasync.py``."""
