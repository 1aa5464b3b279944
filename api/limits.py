"""Rate limits: of requests by key, and of failed authentications by address. Each process counts for itself."""

from __future__ import annotations

import math
import time

import limits
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.errors import Problem

FAILURES = limits.parse("30/minute")
POLICY = "key"


class RateLimits:
    """A moving window a caller. `rate`, such as 600/minute, is for all `workers` together; empty: no limit."""

    def __init__(self, rate: str, workers: int) -> None:
        self._windows = MovingWindowRateLimiter(MemoryStorage())
        self._rate: limits.RateLimitItem | None = None
        if rate:
            whole = limits.parse(rate)
            self._rate = type(whole)(math.ceil(whole.amount / workers), whole.multiples)

    def spend(self, who: str, headers: dict[str, str]) -> None:
        """Count one request, and put what is left into `headers` (draft-ietf-httpapi-ratelimit-headers-10).

        Raises the problem 429.
        """
        if self._rate is None:
            return
        granted = self._windows.hit(self._rate, "caller", who)
        left = self._windows.get_window_stats(self._rate, "caller", who)
        wait = _seconds(left.reset_time)
        headers["RateLimit-Policy"] = f'"{POLICY}";q={self._rate.amount};w={self._rate.get_expiry()}'
        headers["RateLimit"] = f'"{POLICY}";r={max(left.remaining, 0)};t={wait}'
        if not granted:
            detail = f"more than {self._rate.amount} requests in {self._rate.get_expiry()} s (setting rate_limit)"
            members = {"violated-policies": [POLICY]}
            raise Problem(429, "quota-exceeded", detail, headers={"Retry-After": str(wait)}, **members)

    def spend_failure(self, address: str) -> None:
        """Count one failed authentication of an address. Raises the problem 429."""
        if not self._windows.hit(FAILURES, "failure", address):
            wait = _seconds(self._windows.get_window_stats(FAILURES, "failure", address).reset_time)
            detail = f"more than {FAILURES.amount} requests with wrong credentials in {FAILURES.get_expiry()} s"
            raise Problem(429, "too-many-failures", detail, headers={"Retry-After": str(wait)})


def _seconds(moment: float) -> int:
    return max(1, math.ceil(moment - time.time()))
