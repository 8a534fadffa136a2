"""One field of a body that is not read otherwise: the id or the time that a tool puts among what it signs."""

from collections.abc import Sequence

import msgspec

from connectors.contract import JsonValue

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder()


def body_field(body: bytes, path: Sequence[str]) -> JsonValue:
    """The value under these names; None where there is none, or the body is no JSON object. The rest is skipped, not
    read: what it holds is for whoever parses the delivery."""
    found = body
    try:
        for name in path:
            raw = _object.decode(found).get(name)
            if raw is None:
                return None
            found = bytes(raw)
        value: JsonValue = _value.decode(found)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return value
