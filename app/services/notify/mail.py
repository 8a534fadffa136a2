"""The operator's mail server: KRSYNC_SMTP_URL, spoken to by the standard library in a thread."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors.errors import AccessDeniedError, AuthenticationError, QueryError, UnavailableError

_TIMEOUT_SECONDS = 20.0
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpMail:
    """A mail server. `tls`: `implicit` from the first byte, `required` after STARTTLS, or `none`."""

    host: str
    port: int
    sender: str
    tls: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send(self, mail: EmailMessage) -> None:
        """Hand it over; a ConnectorError says what is wrong. It counts as sent where one of its receivers was taken."""
        await asyncio.to_thread(self._send, mail)

    def _send(self, mail: EmailMessage) -> None:
        try:
            with self._connected() as server:
                if self.tls == "required":
                    server.starttls(context=ssl.create_default_context())
                if self.username is not None:
                    server.login(self.username, self.password or "")
                server.sendmail(
                    self.sender,
                    [str(address.addr_spec) for address in mail["To"].addresses],
                    mail.as_bytes(policy=SMTP.clone(max_line_length=78)),
                )
        # What a server answers may repeat what it was told: only its code is passed on.
        except smtplib.SMTPAuthenticationError as error:
            raise AuthenticationError(f"The mail server refused the login ({error.smtp_code}).") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            shown = ", ".join(map(str, codes))
            if all(400 <= code < 500 for code in codes):
                raise UnavailableError(f"The mail server takes nobody now ({shown}).") from None
            raise QueryError(f"The mail server took none of the receivers ({shown}).") from None
        except smtplib.SMTPResponseException as error:
            if 400 <= error.smtp_code < 500:
                raise UnavailableError(f"The mail server asks to try later ({error.smtp_code}).") from None
            raise QueryError(f"The mail server did not take it ({error.smtp_code}).") from None
        except smtplib.SMTPNotSupportedError:
            raise AccessDeniedError("The mail server offers no STARTTLS or no login.") from None
        except (smtplib.SMTPException, OSError) as error:
            raise UnavailableError(f"The mail server does not answer ({type(error).__name__}).") from None

    def _connected(self) -> smtplib.SMTP:
        if self.tls == "implicit":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_SECONDS)


def parse_smtp_url(url: str) -> SmtpMail:
    """`smtp://user:password@host:587?from=okr@acme.example` (STARTTLS, unless `tls=none`) or `smtps://…`.

    ValueError says what is wrong, without the URL: it holds a password. Without TLS there is no login.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    sender = options.pop("from", "")
    tls = options.pop("tls", "required") if parts.scheme == "smtp" else "implicit"
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise ValueError("KRSYNC_SMTP_URL has to read smtp://user:password@host:587?from=okr@acme.example.")
    if options or tls not in ("required", "none", "implicit"):
        raise ValueError("KRSYNC_SMTP_URL takes from=ADDRESS and, for smtp://, tls=required or tls=none.")
    name, at, domain = sender.partition("@")
    if not (name and at and domain and sender.isascii() and sender.isprintable() and not set(sender) & set(' <>,;"')):
        raise ValueError("KRSYNC_SMTP_URL has to say who sends: ?from=okr@acme.example.")
    username = None if parts.username is None else unquote(parts.username)
    if tls == "none" and username is not None:
        raise ValueError("KRSYNC_SMTP_URL: a login needs TLS.")
    password = None if parts.password is None else unquote(parts.password)
    return SmtpMail(parts.hostname, parts.port or _PORTS[parts.scheme], sender, tls, username, password)
