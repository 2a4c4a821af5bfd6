"""Logs of containers: drivers that keep them, the pump that fills them, readers."""
