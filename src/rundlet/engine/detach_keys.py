"""Detach keys: the notation (``ctrl-p,ctrl-q``), and a scanner that finds them in what a client types. Pure."""

from __future__ import annotations

from rundlet.errors import InvalidArgument

__all__ = ["DEFAULT_KEYS", "KeyScanner", "parse_keys"]

DEFAULT_KEYS = "ctrl-p,ctrl-q"


def parse_keys(text: str) -> bytes:
    """The bytes of keys: single characters, or ``ctrl-`` with a letter or one of ``@[\\]^_``. InvalidArgument."""
    keys = bytearray()
    for key in (text or DEFAULT_KEYS).split(","):
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and (key[5].islower() or key[5] in "@[\\]^_"):
            keys.append(ord(key[5].upper()) & 0x1F)
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
    return bytes(keys)


class KeyScanner:
    """Holds back what may be the start of the sequence until it is, or is not."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What the program is to get; True when the sequence is complete: the rest is then dropped."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    self._matched = 0
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 0
            if byte == self._keys[0]:
                self._matched = 1
            else:
                passed.append(byte)
        return bytes(passed), False
