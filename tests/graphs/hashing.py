"""Envoy's hash of a sticky key, in plain Python: XXH64 with seed 0, for keys under 32 bytes."""

_PRIMES = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_MASK = (1 << 64) - 1


def slot_of(key: str) -> int:
    """Which of the hundred slots a caller's key falls into."""
    return _xxh64(key.encode()) % 100


def _xxh64(data: bytes) -> int:
    assert len(data) < 32
    one, two, three, four, five = _PRIMES
    value, at = (five + len(data)) & _MASK, 0
    for at in range(0, len(data) - 7, 8):
        lane = int.from_bytes(data[at : at + 8], "little") * two & _MASK
        value = (_rotated(value ^ (_rotated(lane, 31) * one & _MASK), 27) * one + four) & _MASK
    rest = data[len(data) // 8 * 8 :]
    if len(rest) >= 4:
        value = (
            _rotated(value ^ (int.from_bytes(rest[:4], "little") * one & _MASK), 23) * two + three
        ) & _MASK
        rest = rest[4:]
    for byte in rest:
        value = _rotated(value ^ (byte * five & _MASK), 11) * one & _MASK
    value = (value ^ (value >> 33)) * two & _MASK
    value = (value ^ (value >> 29)) * three & _MASK
    return value ^ (value >> 32)


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK
