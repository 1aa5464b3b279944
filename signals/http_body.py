"""Reads an HTTP body to its true end: a compressed one that was cut is an error, not a shorter text."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

ACCEPTED = {"Accept-Encoding": "gzip"}
_GZIP = 16 + zlib.MAX_WBITS


def body_of(answer: httpx.Response) -> Iterator[bytes]:
    """The parts of the body of a streamed answer; httpx.RemoteProtocolError where it ends early or cannot be read.

    httpx itself takes a gzip stream that stops in the middle for a whole one.
    """
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        yield from answer.iter_raw()
    elif encoding in ("gzip", "x-gzip"):
        yield from _unpacked(answer)
    else:
        raise httpx.RemoteProtocolError(f"the answer is encoded as {encoding[:40]!r}, which was not asked for")


def _unpacked(answer: httpx.Response) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for part in answer.iter_raw():
            rest = part
            while rest:
                if member.eof:  # a gzip file may have several members
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest)
                rest = member.unused_data
    except zlib.error as error:
        raise httpx.RemoteProtocolError(f"the answer is no gzip: {error}") from error
    if not member.eof:
        raise httpx.RemoteProtocolError("the answer ends in the middle of its gzip stream")
