"""Which addresses are public, how the operator's list is read, and the guard for a client of one's own."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from connectors.errors import AccessDeniedError, UnavailableError
from connectors.outbound import OutboundGuard, OutboundPolicy, is_public, parse_policy


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
        *("172.16.0.1", "172.31.255.255", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
        *("64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1"),
        *("2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1"),
        *("ff02::1", "100::1", "4000::1"),
    ],
)
def test_special_addresses_are_refused_unless_they_are_allowed(address: str) -> None:
    literal = address.partition("%")[0]
    assert not is_public(ip_address(address))
    with pytest.raises(AccessDeniedError, match="KRSYNC_OUTBOUND_ALLOW"):
        OutboundGuard(parse_policy("")).check_literal(address)
    OutboundGuard(parse_policy(literal)).check_literal(literal)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2606:4700:4700::1111", "2a00:1450:4001::200e"],
)
def test_the_public_internet_is_open(address: str) -> None:
    assert is_public(ip_address(address))
    OutboundGuard(parse_policy("")).check_literal(address)


def test_a_list_of_names_addresses_and_networks() -> None:
    policy = parse_policy(" 127.0.0.0/8, Jira.Corp.Example ,10.1.2.3,fd00::/8,[::1],bücher.example,under_score.corp,, ")

    assert policy.hosts == {"jira.corp.example", "xn--bcher-kva.example", "under_score.corp"}
    assert [str(network) for network in policy.networks] == ["127.0.0.0/8", "10.1.2.3/32", "fd00::/8", "::1/128"]
    assert parse_policy("") == parse_policy(" , ") == OutboundPolicy()


@pytest.mark.parametrize(
    "entry",
    [
        *("10.0.0.1/8", "10.0.0.0/33", "127.1", "2130706433", "jira.corp:8443", "https://jira.corp", "jira.corp/path"),
        *("*.corp.example", "a b", "-", "a..b", "1.2.3.4.5", "a" * 64 + ".example", "::g"),
    ],
)
def test_an_entry_that_is_neither_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="KRSYNC_OUTBOUND_ALLOW"):
        parse_policy(f"ok.example,{entry}")


def test_an_allowed_ipv4_address_is_allowed_in_its_mapped_form_and_in_no_other() -> None:
    guard = OutboundGuard(parse_policy("10.0.0.0/8"))

    guard.check_literal("::ffff:10.0.0.1")
    for other in ("::10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::"):
        with pytest.raises(AccessDeniedError):
            guard.check_literal(other)


def test_the_guard_gives_an_address_to_connect_to() -> None:
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["8.8.8.8", "1.1.1.1"]

    guard = OutboundGuard(parse_policy(""), lookup)

    assert guard.check("https://tool.example/path?x=1") == "8.8.8.8"
    assert guard.check("http://user:pass@tool.example:8080") == "8.8.8.8"
    assert guard.check("http://[2606:4700:4700::1111]/") == "2606:4700:4700::1111"
    assert asked == [("tool.example", 443), ("tool.example", 8080)]


@pytest.mark.parametrize(
    "url", ["", "tool.example", "ftp://tool.example", "file:///etc/passwd", "http://", "http://[::1", "http://a:99999/"]
)
def test_the_guard_refuses_what_is_no_http_url(url: str) -> None:
    with pytest.raises(AccessDeniedError):
        OutboundGuard(parse_policy("0.0.0.0/0"), lambda host, port: ["8.8.8.8"]).check(url)


def test_a_refusal_names_the_host_and_not_its_address() -> None:
    guard = OutboundGuard(parse_policy(""), lambda host, port: ["10.11.12.13"])

    with pytest.raises(AccessDeniedError) as caught:
        guard.check("https://wiki.corp.example/")

    assert "wiki.corp.example" in str(caught.value)
    assert "10.11.12.13" not in repr(caught.value)


@pytest.mark.parametrize("answer", [["not an address"], ["8.8.8.8", "127.0.0.1"], ["8.8.8.8", ""]])
def test_a_resolver_that_gives_nonsense_opens_nothing(answer: list[str]) -> None:
    with pytest.raises(AccessDeniedError):
        OutboundGuard(parse_policy(""), lambda host, port: answer).check("https://a.example/")


def test_a_name_without_an_address_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        OutboundGuard(parse_policy(""), lambda host, port: []).check("https://a.example/")
