"""The version of this package, for programs that must not pay for reading its metadata."""

VERSION = "0.1.0"
