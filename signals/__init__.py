"""From the outside into DuckDB: import, connectors and the point-in-time store."""
