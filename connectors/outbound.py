"""Which addresses an outbound request may reach, and the one place that resolves a host name.

The public internet is open. Everything else — loopback, private, link-local and shared ranges, cloud metadata, and each
IPv6 form that carries an IPv4 address inside (mapped, 6to4, NAT64, Teredo) — is refused unless the operator lists it in
`KRSYNC_OUTBOUND_ALLOW`. A name is resolved once, each of its addresses is checked, and the connection goes to one of
those very addresses, so a second answer of the name server changes nothing (DNS rebinding).
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from connectors.contract import GuardedTransport
from connectors.errors import AccessDeniedError, UnavailableError

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Lookup: TypeAlias = Callable[[str, int], Sequence[str]]

SETTING = "KRSYNC_OUTBOUND_ALLOW"

# `ipaddress.is_global` is not enough: it calls multicast, 64:ff9b::/96, ::/96, fec0::/10 and others global.
# https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry
_CLOSED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host endpoint, on a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_OPEN_IPV6 = IPv6Network("2000::/3")  # all that IANA has given out as global unicast
_CLOSED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is ordinary public unicast (IANA's special-purpose registries say which are not)."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_IPV4)
    return address in _OPEN_IPV6 and not any(address in network for network in _CLOSED_IPV6)


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What may be reached beyond the public internet: host names (lower case, no trailing dot) and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allows(self, host: str, address: Address) -> bool:
        """Whether a request to `host` may connect to `address`, one of those it resolved to."""
        if is_public(address) or _name(host) in self.hosts:
            return True
        candidates: list[Address] = [address]
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            candidates.append(address.ipv4_mapped)  # ::ffff:10.0.0.1 is 10.0.0.1 to the socket
        return any(
            candidate.version == network.version and candidate in network
            for candidate in candidates
            for network in self.networks
        )


def parse_policy(text: str) -> OutboundPolicy:
    """The policy of a comma-separated list of host names, addresses and CIDRs; ValueError names a bad entry."""
    hosts: set[str] = set()
    networks: list[Network] = []
    for entry in (part.strip() for part in text.split(",")):
        if not entry:
            continue
        try:
            networks.append(ip_network(entry.strip("[]")))
        except ValueError as error:
            if "/" in entry or ":" in entry or not _is_host_name(entry):
                raise ValueError(f"{SETTING}: {entry!r} is neither a host name nor a CIDR ({error})") from None
            hosts.add(_name(entry))
    return OutboundPolicy(frozenset(hosts), tuple(networks))


def _name(host: str) -> str:
    """A host name as it is compared: lower case, ASCII (IDNA), no trailing dot."""
    host = host.rstrip(".").lower()
    if not host.isascii():
        try:
            return host.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    return host


def _is_host_name(text: str) -> bool:
    labels = _name(text).split(".")
    if all(label.isdigit() for label in labels):
        return False  # `127.1` is a number to a socket, not a name
    return all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "").replace("_", "").isalnum()
        for label in labels
    )


def system_lookup(host: str, port: int) -> Sequence[str]:
    """Every address the operating system gives for a name, in its order; blocks. OSError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class OutboundGuard:
    """Resolves and checks hosts under one policy; the `contract.GuardedTransport` of a toolbox."""

    def __init__(self, policy: OutboundPolicy, lookup: Lookup = system_lookup) -> None:
        self.policy = policy
        self._lookup = lookup

    def check(self, url: str) -> str:
        """Resolve the host of `url` once and return the address to connect to; blocks.

        AccessDeniedError where any of its addresses is not allowed, UnavailableError where it has none.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise AccessDeniedError("Only http and https addresses with a host name can be reached.")
        return self.resolve(host, port or (443 if parts.scheme == "https" else 80))[0]

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """Every address of `host` (itself, if it is one), all of them allowed, else AccessDeniedError; blocks."""
        if self.is_literal(host):
            self.check_literal(host)
            return [host]
        try:
            addresses = self._lookup(host, port)
        except (OSError, UnicodeError) as error:
            raise UnavailableError(f"The host name {host} could not be resolved.") from error
        if not addresses:
            raise UnavailableError(f"The host name {host} could not be resolved.")
        for address in addresses:
            self._check_address(host, address)
        return addresses

    @staticmethod
    def is_literal(host: str) -> bool:
        """Whether HTTP clients take `host` for an address and ask no resolver: digits and dots, or a colon."""
        return ":" in host or host.replace(".", "").isdigit()

    def check_literal(self, host: str) -> None:
        """AccessDeniedError unless `host`, an address, is allowed; other spellings of one (`127.1`) never are."""
        self._check_address(host, host)

    def _check_address(self, host: str, text: str) -> None:
        try:
            address = ip_address(text)
        except ValueError:
            address = None
        # The message names the host only: a team that probes inside names must not learn their addresses.
        if address is None or not self.policy.allows(host, address):
            raise AccessDeniedError(
                f"The host {host} is not on the public internet. The operator can allow it in {SETTING}."
            )


def requests_adapter(guard: GuardedTransport, **options: Any) -> "HTTPAdapter":
    """An adapter to mount on a `requests.Session` under `http://` and `https://`: same guard, no redirect, no proxy.

    Certificate and Host header are for the name, the connection goes to the address that was checked. `options` go to
    `requests.adapters.HTTPAdapter`. A redirect raises UnexpectedResponseError.
    """
    from connectors.guarded_requests import GuardedAdapter  # requests is loaded only where it is used

    return GuardedAdapter(guard, **options)
