"""Forecasts to ERPs and sales from them."""
