"""Sources of sales in ERPs, one file a source."""

from __future__ import annotations

from collections.abc import Mapping

from api.erp.imports.base import Source
from api.erp.imports.business_central import BusinessCentralSales
from api.erp.imports.tryton import TrytonSales

SOURCES: Mapping[str, type[Source]] = {source.name: source for source in (BusinessCentralSales, TrytonSales)}
