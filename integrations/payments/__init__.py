"""Stripe: the only package that speaks to it, and the only importer of its SDK."""
