"""Whose key protects what: wrapping of data keys, the platform's secrets, and the store both processes share.

`protocols` says what a vendor must do, `file` and `aws` do it, `store` caches unwrapped keys and implements
`core.crypto.KeySource`, `secrets` turns the stored secrets into what the processes use (local-stack.md §4.4).
"""
