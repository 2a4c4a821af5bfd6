"""System call filters: what containers may ask of the kernel.

:func:`default_profile` makes the profile of an ordinary container for its capabilities, in OCI form;
:func:`compile` turns any OCI profile into the program that the kernel runs. Loading it is the container's child's
business (:mod:`rundlet.linux.seccomp`).
"""

from rundlet.runtime.seccomp.compiler import compile as compile  # noqa: A004  the field's word
