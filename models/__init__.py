"""Tables. Importing any of them makes all of them known: foreign keys name tables of other files."""

from models import tables

__all__ = ["tables"]
