"""Stripe for the local stack and the tests (billing.md §6), as far as subscription billing needs it.

One ASGI application, one account per API key, everything in memory. Routes and parameters are those of the pinned SDK
(`sdk`), so what that version does not know is refused. An operation is a function in one of the resource modules,
registered with `@operation`; it works on plain documents as they go over the wire. What moves money is in `billing`.
"""
