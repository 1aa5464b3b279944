"""How the ledger keeps a request or an answer: deflated, with the words that nearly all of them have known before.

A forecast is a few hundred bytes of numbers between words that are always the same. With these as zlib's preset
dictionary (RFC 1950, FDICT) it takes three quarters of the space that zlib alone needs, for as much CPU. Each stream
names the dictionary that it needs by checksum (RFC 1950, DICTID); those of earlier versions, which need none, stay
readable.
"""

from __future__ import annotations

import zlib
from importlib.resources import files

LEVEL = 1  # 4 saves 0.15 KB an answer for half more CPU, and rows fill SQLite's pages no better
_FDICT = 0x20
# A dictionary is never changed: rows need the very bytes. A better one is another file, the newest last.
_DICTIONARIES = {zlib.adler32(words): words for words in ((files("api") / "ledger_words_1.txt").read_bytes(),)}
_NEWEST = list(_DICTIONARIES.values())[-1]


def pack(content: bytes) -> bytes:
    """JSON as the ledger keeps it."""
    made = zlib.compressobj(LEVEL, zdict=_NEWEST)
    return made.compress(content) + made.flush()


def unpack(packed: bytes) -> bytes:
    """What was packed, by this version or an earlier one.

    Raises zlib.error where it is damaged, or names a dictionary that this version does not have.
    """
    if len(packed) < 6 or not packed[1] & _FDICT:
        return zlib.decompress(packed)
    words = _DICTIONARIES.get(int.from_bytes(packed[2:6]))
    if words is None:
        raise zlib.error(f"no dictionary with the checksum {packed[2:6].hex()}: written by a newer version, or damaged")
    reader = zlib.decompressobj(zdict=words)
    content = reader.decompress(packed) + reader.flush()
    if not reader.eof:
        raise zlib.error("incomplete or truncated stream")
    return content
