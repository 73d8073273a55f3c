"""Processes that decode for this one, as the system sees them."""

import psutil


def servers() -> list[psutil.Process]:
    """Those from which children are forked: one, once a file was looked at."""
    return [each for each in psutil.Process().children() if "forkserver" in " ".join(each.cmdline())]


def forks() -> list[psutil.Process]:
    """Children that are alive, or dead and not waited for."""
    return [below for each in servers() for below in each.children()]
