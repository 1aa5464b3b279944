"""Dynamics 365 Supply Chain Management: demand forecast entries (entity set DemandForecastEntries)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from api.erp.client import Auth, Client, ClientCredentials, bearer
from api.erp.config import ExportSettings
from api.erp.exports.base import Row
from api.erp.exports.buckets import Bucket, attribute
from api.erp.exports.odata import EntitySet
from signals.connector import ConfigError
from signals.redact import Redactor

LOGIN = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
KEYS = ("dataAreaId", "ForecastEntryNumber")
IDENTITY = (
    *("dataAreaId", "ForecastModelId", "ItemNumber", "DeliveringSiteId", "DeliveringWarehouseId"),
    "CustomerAccountNumber",
)
DAY = "ForecastStartDate"


class D365Settings(ExportSettings):
    """`[exports.d365]`."""

    company: str = Field("", description="dataAreaId of the rows")
    model: str = Field("", description="ForecastModelId of the rows")
    site: str = Field("", description="DeliveringSiteId; the attribute `site` of a category comes first")
    warehouse: str = Field("", description="DeliveringWarehouseId; the attribute `warehouse` comes first")
    customer: str = Field("", description="CustomerAccountNumber; the attribute `customer` comes first")
    tenant: str = Field("", description="Entra tenant whose login gives the token")
    login_url: str = Field("", description="where the token is fetched, instead of that tenant's login")
    client_id: str = Field("", description="id of the registered application")
    client_secret: SecretStr | None = Field(None, description="its secret")
    token: SecretStr | None = Field(None, description="a bearer token, instead of an application")


class D365:
    """A row for each bucket and item, at noon UTC: no time zone then makes another day of it."""

    name: ClassVar[str] = "d365"
    settings_type: ClassVar[type[ExportSettings]] = D365Settings

    def __init__(self, settings: D365Settings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        """The environment."""
        return self._settings.url

    def rows(self, buckets: Sequence[Bucket]) -> list[Row]:
        """Rows with the properties of DemandForecastEntries; optional ones only where they have a value."""
        for key in ("company", "model"):
            if not getattr(self._settings, key):
                raise ConfigError(key, "missing", "it is needed for every row", "[exports.d365]")
        return [self._row(bucket) for bucket in buckets]

    def _row(self, bucket: Bucket) -> Row:
        said = self._settings
        item = attribute(bucket, said.item, self.name)
        places = {
            "DeliveringSiteId": bucket.attributes.get("site", said.site),
            "DeliveringWarehouseId": bucket.attributes.get("warehouse", said.warehouse),
            "CustomerAccountNumber": bucket.attributes.get("customer", said.customer),
        }
        head = {"dataAreaId": said.company, "ForecastModelId": said.model, "ItemNumber": item}
        fields: dict[str, Any] = head | {name: str(value) for name, value in places.items() if value != ""}
        fields |= {
            "ForecastStartDate": f"{bucket.date}T12:00:00Z",
            "ForecastedQuantity": bucket.quantity,
            "QuantityUnitSymbol": attribute(bucket, said.unit, self.name),
        }
        key = "|".join([*map(str, head.values()), *map(str, places.values()), f"{bucket.start}"])
        return Row(key, bucket.category, bucket.receipt, bucket.start, fields)

    def remote(self, redactor: Redactor) -> EntitySet:
        """The entity set of the environment at `url`."""
        if not self._settings.url:
            raise ConfigError("url", "missing", "the address of the environment, to push", "[exports.d365]")
        client = Client(self._settings.url, self._auth(redactor), redactor, timeout=self._settings.timeout)
        return EntitySet(client, "/data/DemandForecastEntries", KEYS, IDENTITY, DAY, {"cross-company": "true"})

    def _auth(self, redactor: Redactor) -> Auth:
        said = self._settings
        if said.token is not None:
            return bearer(said.token.get_secret_value())
        if said.client_secret is None or not said.client_id or not (said.tenant or said.login_url):
            allowed = "a token, or client_id, client_secret and tenant (secrets in variables or files)"
            raise ConfigError("token", "missing", allowed, "[exports.d365]")
        login = said.login_url or LOGIN.format(tenant=said.tenant)
        secret = said.client_secret.get_secret_value()
        return ClientCredentials(login, said.client_id, secret, f"{said.url}/.default", redactor)
