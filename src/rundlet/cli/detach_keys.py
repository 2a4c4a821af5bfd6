"""The key sequence that leaves a container running and goes (``ctrl-p,ctrl-q``).

Syntax and behaviour of moby's ``term``: a comma-separated list of characters and ``ctrl-X``. Keys of a sequence
that is broken off are passed on, so that ctrl-p alone still reaches the program.
"""

from __future__ import annotations

DEFAULT = "ctrl-p,ctrl-q"


def parse(text: str) -> bytes:
    """The bytes that the keys send. Raises ValueError."""
    keys = bytearray()
    for key in (text or DEFAULT).split(","):
        if len(key) == 1 and key.isascii():
            keys += key.encode()
            continue
        letter = key.removeprefix("ctrl-")
        if len(letter) != 1 or letter == key or not (letter.isalpha() or letter in "@[\\]^_"):
            raise ValueError(f"invalid detach keys ({text}): unknown character: '{key}'")
        keys.append(ord(letter.upper()) & 0x1F)
    return bytes(keys)


class DetachScanner:
    """Watches what is typed. ``feed`` gives what to pass on; ``is_detached`` turns true at the sequence."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0
        self.is_detached = False

    def feed(self, data: bytes) -> bytes:
        passed = bytearray()
        for byte in data:
            if byte != self._keys[self._matched]:
                # A sequence that begins anew within itself is not looked for, as in moby.
                passed += self._keys[: self._matched]
                self._matched = 0
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self.is_detached = True
                    break
            else:
                passed.append(byte)
        return bytes(passed)
