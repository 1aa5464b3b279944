"""Targets that forecasts are exported to, one file a target."""

from __future__ import annotations

from collections.abc import Mapping

from api.erp.exports.base import Target
from api.erp.exports.business_central import BusinessCentral
from api.erp.exports.d365 import D365
from api.erp.exports.demand_planning import DemandPlanning
from api.erp.exports.tryton import TrytonTarget

TARGETS: Mapping[str, type[Target]] = {
    target.name: target for target in (D365, BusinessCentral, DemandPlanning, TrytonTarget)
}
