"""Faces that speak the language of an ERP, forecasts to ERPs and sales from them."""
