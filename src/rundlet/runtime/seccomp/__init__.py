"""System call filters: what containers may ask of the kernel.

:func:`default_profile` is the profile of an ordinary container for its capabilities, in OCI form. :func:`resolve`
makes that form of a profile which somebody brings along for Docker. :func:`compile` turns it into the program that
the kernel runs; loading it is the business of the container's child (:mod:`rundlet.linux.seccomp`).
"""

from rundlet.runtime.seccomp.compiler import compile as compile  # noqa: A004  the field's word
from rundlet.runtime.seccomp.conditions import default_profile as default_profile
from rundlet.runtime.seccomp.conditions import resolve as resolve
