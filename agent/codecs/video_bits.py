"""Bits of a parameter set of video (ITU-T H.264 7.2, H.265 7.2): fixed and Exp-Golomb numbers."""

from __future__ import annotations

_LONGEST_PREFIX = 32


class ParameterBits:
    """Reads a raw byte sequence payload from its first bit on.

    Raises ValueError when it ends early, and for a number of more than 32 bits.
    """

    def __init__(self, unit: bytes) -> None:
        """`unit` is what follows the header of a NAL unit, emulation prevention included."""
        payload = unit.replace(b"\0\0\3", b"\0\0")
        self._bits = int.from_bytes(payload)
        self._left = 8 * len(payload)

    def take(self, count: int) -> int:
        """u(count)"""
        if count > self._left:
            raise ValueError("a parameter set ends early")
        self._left -= count
        return self._bits >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        """u(1)"""
        return bool(self.take(1))

    def unsigned(self) -> int:
        """ue(v)"""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _LONGEST_PREFIX:
                raise ValueError("a number of a parameter set is too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """se(v)"""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)
