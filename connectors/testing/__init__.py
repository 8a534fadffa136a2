"""The conformance suite: what every connector has to pass, by import.

    class TestAcme(ConnectorConformance):
        case = ConformanceCase(
            connector=ACME,
            config={"url": "https://acme.example", "token": {"env": "TOKEN"}},
            site=healthy_acme,          # () → (httpx.Request → httpx.Response), a new tool each time
            query={"q": "open"},
            dataset={"list": "tasks"},
            accepted=[signed_delivery],
            refused=[forged_delivery],
        )

It needs pytest and no plugin. `case` holds the facts, `shape` checks the value and its models, `pull` the hooks that
ask the tool (on the bad days of `failures`), `push` those that take
deliveries. The checks of a side that the connector does not have are left out.
"""

from connectors.testing.case import ConformanceCase, Site
from connectors.testing.pull import PullConformance
from connectors.testing.push import PushConformance
from connectors.testing.shape import ShapeConformance

__all__ = ["ConformanceCase", "ConnectorConformance", "Site"]


class ConnectorConformance(ShapeConformance, PullConformance, PushConformance):
    """Every check; subclass it with a `case`."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        connector = cls.case.connector
        for side, hook in ((PullConformance, connector.open), (PushConformance, connector.verify or connector.parse)):
            if hook is None:
                for name in vars(side):
                    if name.startswith("test_"):
                        setattr(cls, name, None)  # pytest collects what can be called
