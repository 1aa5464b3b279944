"""Business Central: demand forecast entries (page 99000922, published as an OData web service)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, SecretStr

from api.erp.client import Auth, Client, ClientCredentials, Pace, basic, bearer
from api.erp.config import ExportSettings, System
from api.erp.exports.base import Row
from api.erp.exports.buckets import Bucket, attribute
from api.erp.exports.odata import EntitySet
from signals.connector import ConfigError
from signals.redact import Redactor

LOGIN = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
SCOPE = "https://api.businesscentral.dynamics.com/.default"
IDENTITY = ("Production_Forecast_Name", "Item_No", "Variant_Code", "Location_Code")


class Login(System):
    """How to log in to Business Central: a user with a key, a token, or an application of Entra."""

    user: str = Field("", description="user of Basic authentication")
    password: SecretStr | None = Field(None, description="that user's web service access key")
    token: SecretStr | None = Field(None, description="a bearer token")
    tenant: str = Field("", description="Entra tenant whose login gives the token")
    login_url: str = Field("", description="where the token is fetched, instead of that tenant's login")
    client_id: str = Field("", description="id of the registered application")
    client_secret: SecretStr | None = Field(None, description="its secret")


class BusinessCentralSettings(ExportSettings, Login):
    """`[exports.business-central]`."""

    company: str = Field("", description="name of the company")
    service: str = Field("DemandForecastEntries", pattern=r"^\w+$", description="name of the published web service")
    forecast: str = Field("", max_length=10, description="Production Forecast Name, which must be there")
    location: str = Field("", max_length=10, description="Location Code; the attribute `location` comes first")
    variant: str = Field("", max_length=10, description="Variant Code; the attribute `variant` comes first")


class BusinessCentral:
    """A row for each bucket and item, dated its first day."""

    name: ClassVar[str] = "business-central"
    settings_type: ClassVar[type[ExportSettings]] = BusinessCentralSettings

    def __init__(self, settings: BusinessCentralSettings) -> None:
        self._settings = settings

    @property
    def place(self) -> str:
        """The environment and the company."""
        return f"{self._settings.url} {self._settings.company}"

    def rows(self, buckets: Sequence[Bucket]) -> list[Row]:
        """Rows with the fields of the page; optional ones only where they have a value."""
        if not self._settings.forecast:
            allowed = "a Production Forecast Name of Business Central"
            raise ConfigError("forecast", "missing", allowed, "[exports.business-central]")
        return [self._row(bucket) for bucket in buckets]

    def _row(self, bucket: Bucket) -> Row:
        said = self._settings
        item = attribute(bucket, said.item, self.name)
        places = {
            "Location_Code": str(bucket.attributes.get("location", said.location)),
            "Variant_Code": str(bucket.attributes.get("variant", said.variant)),
        }
        fields: dict[str, Any] = {
            "Production_Forecast_Name": said.forecast,
            "Item_No": item,
            "Forecast_Date": f"{bucket.date}",
            "Forecast_Quantity": bucket.quantity,
        }
        if unit := bucket.attributes.get(said.unit):
            fields["Unit_of_Measure_Code"] = str(unit)
        fields |= {name: value for name, value in places.items() if value}
        key = "|".join([said.forecast, item, *places.values(), f"{bucket.start}"])
        return Row(key, bucket.category, bucket.receipt, bucket.start, fields)

    def remote(self, redactor: Redactor) -> EntitySet:
        """The web service of the company; 600 requests a minute and five at a time are allowed."""
        for key, allowed in (("url", "the address that ends with /ODataV4"), ("company", "the name of the company")):
            if not getattr(self._settings, key):
                raise ConfigError(key, "missing", f"{allowed}, to push", "[exports.business-central]")
        path = f"/Company('{quote(self._settings.company.replace(chr(39), chr(39) * 2))}')/{self._settings.service}"
        where = "[exports.business-central]"
        client = business_central(self._settings, redactor, where)
        return EntitySet(client, path, ("Entry_No",), IDENTITY, "Forecast_Date", {})


def business_central(said: Login, redactor: Redactor, where: str) -> Client:
    """A client of Business Central that keeps to its limits."""
    return Client(said.url, _auth(said, redactor, where), redactor, timeout=said.timeout, pace=Pace(600))


def _auth(said: Login, redactor: Redactor, where: str) -> Auth:
    if said.token is not None:
        return bearer(said.token.get_secret_value())
    if said.password is not None and said.user:
        return basic(said.user, said.password.get_secret_value())
    if said.client_secret is None or not said.client_id or not (said.tenant or said.login_url):
        allowed = (
            "a token, or user and password, or client_id, client_secret and tenant (secrets in variables or files)"
        )
        raise ConfigError("token", "missing", allowed, where)
    login = said.login_url or LOGIN.format(tenant=said.tenant)
    return ClientCredentials(login, said.client_id, said.client_secret.get_secret_value(), SCOPE, redactor)
