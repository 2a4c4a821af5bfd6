"""Thin wrappers of the kernel calls that Python lacks, and the tables that go with them.

This package holds the only ctypes of the tree. A wrapper does one kernel call, raises
``OSError(errno, text, object)`` and knows nothing of containers; whoever wants two calls in a row writes
them one package higher. The one exception is :mod:`rundlet.linux.beneath`, through which every path below
an image's or container's root is opened.

Descriptors that come out of here are close-on-exec and belong to the caller. Nothing here is for threads
of a process that forks: see :func:`rundlet.linux.process.clone3`.
"""
