"""Figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.metrics import exposition
from api.routes import AppSettings
from api.security import needs

router = APIRouter()


@router.get("/metrics", include_in_schema=False, dependencies=[needs("metrics:read")])
def metrics(settings: AppSettings) -> Response:
    """In the text format of Prometheus, of all workers of this server."""
    return Response(exposition(settings), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"})
