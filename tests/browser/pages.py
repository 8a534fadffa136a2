"""Every page of the dashboard, by the name of its picture."""

from tests.browser.story import Story


def pages(story: Story) -> dict[str, str]:
    """The pages as an administrator of the story's organisation reaches them: name and path."""
    return {
        "overview": "/",
        "team": "/teams/operations",
        "key-result": "/key-results/operations/onboarding_time",
        "why": "/key-results/operations/reply_time/why",
        "alignment": "/alignment",
        "connections": "/connections",
        "connection": "/connections/operations/desk",
        "try": "/connections/operations/desk/try",
        "deliveries": "/deliveries",
        "runs": "/runs",
        "team-file": "/teams/operations/file",
        "health-check": "/teams/operations/health-check",
        "cycles": "/teams/operations/cycles",
        "cycle": f"/teams/operations/cycles/{story.cycle_before}",
        "audit": "/audit?kind=key_result",
    }


#: States that are worth a look and no picture.
def states(story: Story) -> dict[str, str]:
    return {
        "void": "/key-results/operations/overhead_down",
        "a bound to hold": "/key-results/company/margin",
        "stale": "/key-results/operations/satisfied",
        "no data": "/key-results/platform/service_40",
        "in steps": "/key-results/operations/backlog",
        "checkpoints": "/key-results/platform/latency",
        "closed": f"/key-results/operations/backlog?cycle={story.cycle_before}",
        "why, nothing": "/key-results/platform/service_40/why",
        "why, by hand": "/key-results/operations/onboarding_time/why?since=week",
        "a chosen state": "/?show=stale",
        "none in that state": "/?show=paused",
        "forty key results": "/teams/platform",
        "objectives of a closed cycle": f"/teams/operations?cycle={story.cycle_before}",
        "a waiting connection": "/connections/platform/monitor",
        "no deliveries": "/deliveries?connection=platform/monitor",
        "no audit": "/audit?actor=nobody",
    }
