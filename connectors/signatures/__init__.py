"""Who sent a webhook: each tool's own way of proof, told in one table and checked by one function.

`providers` is the table, `schemes` the kinds of proof it is made of, `check` the checking of bytes against secrets. Any
connector may use it: it knows no connector, no config and no database.

    verify(PROVIDERS["github"].scheme, secrets=["…"], delivery=delivery)   # returns, or raises SignatureError
"""

from connectors.signatures.check import verify
from connectors.signatures.fields import body_field
from connectors.signatures.providers import PROVIDERS, Provider
from connectors.signatures.schemes import Basic, Bearer, HmacSigned, Scheme, Standard, Token, TokenOrStandard

__all__ = [
    "PROVIDERS",
    "Basic",
    "Bearer",
    "HmacSigned",
    "Provider",
    "Scheme",
    "Standard",
    "Token",
    "TokenOrStandard",
    "body_field",
    "verify",
]
