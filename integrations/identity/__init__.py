"""Sign-in with Google, Apple and Facebook: one promise (`protocol`), one adapter per vendor, one in memory for tests.

httpx and joserfc only; every answer is bounded in time and size and read by its schema (identity-and-security.md
§2.7, §5.1). Nothing here retries, and nothing knows accounts of ours.
"""
