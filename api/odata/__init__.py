"""Read-only OData v4.0 over the issued forecasts: /odata/v4 (docs/erp/odata.md)."""
