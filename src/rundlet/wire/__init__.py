"""What engine and client say to each other, as pure functions and parsers: bytes in, values out, and back.

Daemon and SDK share it. Nothing here does I/O, knows a clock or imports anything outside the standard library.
"""
