"""Which network addresses the platform may be told to call: public ones, whatever form they come in.

`ipaddress.is_global` is not enough: it takes IPv4 addresses wrapped into IPv6 (NAT64, 6to4, compatible), multicast and
the deprecated site-local block for public (identity-and-security.md §4.9).
"""

import ipaddress
from typing import Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_REFUSED: Final = (
    ipaddress.ip_network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    ipaddress.ip_network("fec0::/10"),  # site-local (RFC 3879)
    ipaddress.ip_network("64:ff9b:1::/48"),  # local NAT64 (RFC 8215)
)


def is_public(text: str) -> bool:
    """Whether an IP address, as the resolver answers it, is one that everybody on the internet reaches."""
    try:
        address: _Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    while (inner := _unwrapped(address)) is not None:
        address = inner
    if address.is_multicast or any(address in network for network in _REFUSED if network.version == address.version):
        return False
    return address.is_global


def _unwrapped(address: _Address) -> _Address | None:
    """The IPv4 address inside one of the IPv6 forms that carry it."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
