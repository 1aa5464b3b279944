"""Faces that speak the language of an ERP."""
