"""Notices by e-mail, handed to a real SMTP server on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from app.services.notify.mail import parse_smtp_url
from connectors.errors import AccessDeniedError, ConnectorError, QueryError, UnavailableError


@dataclass
class Server:
    """The part of SMTP (RFC 5321) that a submission needs. `refusals` answer a command in the place of `250`."""

    port: int = 0
    refusals: dict[str, bytes] = field(default_factory=dict)
    envelopes: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sender, receivers = "", []
        writer.write(b"220 mail.test ready\r\n")
        while line := await reader.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            verb = verb.upper()
            if verb in self.refusals:
                writer.write(self.refusals[verb] + b"\r\n")
                continue
            if verb == "MAIL":
                sender = rest.partition("<")[2].partition(">")[0]
            elif verb == "RCPT":
                receivers.append(rest.partition("<")[2].partition(">")[0])
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.envelopes.append((sender, receivers, data[:-5]))
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


def mail() -> EmailMessage:
    found = EmailMessage()
    found["Subject"] = "Happy: on track → at risk"
    found["From"] = "okr@acme.example"
    found["To"] = "ops@acme.example, dana@acme.example"
    found.set_content("Grüße\n.a line that begins with a dot\n")
    return found


async def test_a_mail_arrives_as_it_was_written() -> None:
    async with serving() as server:
        await parse_smtp_url(f"smtp://127.0.0.1:{server.port}?from=okr@acme.example&tls=none").send(mail())
        ((sender, receivers, data),) = server.envelopes
    assert (sender, receivers) == ("okr@acme.example", ["ops@acme.example", "dana@acme.example"])
    read = message_from_bytes(data.replace(b"\r\n..", b"\r\n."), policy=default)
    assert read["Subject"] == "Happy: on track → at risk"
    assert "Grüße" in read.get_content()


@pytest.mark.parametrize(
    ("verb", "answer", "expected"),
    [
        ("RCPT", b"550 canary no such box", QueryError),
        ("RCPT", b"450 canary later", UnavailableError),
        ("DATA", b"451 canary later", UnavailableError),
        ("MAIL", b"554 canary never", QueryError),
    ],
)
async def test_refusals_by_remedy_without_the_servers_words(
    verb: str, answer: bytes, expected: type[ConnectorError]
) -> None:
    async with serving() as server:
        server.refusals[verb] = answer
        with pytest.raises(expected) as caught:
            await parse_smtp_url(f"smtp://127.0.0.1:{server.port}?from=okr@acme.example&tls=none").send(mail())
    assert "canary" not in str(caught.value)


async def test_without_tls_nothing_is_sent_unless_the_operator_says_so() -> None:
    async with serving() as server:
        with pytest.raises(AccessDeniedError):
            await parse_smtp_url(f"smtp://127.0.0.1:{server.port}?from=okr@acme.example").send(mail())
    assert server.envelopes == []
    with pytest.raises(UnavailableError):
        await parse_smtp_url(f"smtp://127.0.0.1:{server.port}?from=okr@acme.example&tls=none").send(mail())


@pytest.mark.parametrize(
    "url",
    [
        "http://x?from=a@b",
        "smtp://x",
        "smtp://?from=a@b",
        "smtp://u:canary@x?from=a@b&tls=none",
        "smtp://x?from=a@b&tls=maybe",
        "smtp://x?from=a%0d%0aBcc:c@b",
    ],
)
def test_urls_that_can_not_be_used_are_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="KRSYNC_SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(parse_smtp_url("smtps://u:canary@x?from=a@b"))
