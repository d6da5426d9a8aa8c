"""EventBridge: Interlock's own bus."""

from __future__ import annotations

from interlock.aws.client import client, translated
from interlock.errors import DependencyUnavailable
from interlock.events import SOURCE, Event


class EventBus:
    """Publishes events; a lost one is an error, so that the step is retried."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._events = client("events")

    def publish(self, event: Event) -> None:
        """Put one event on the bus.

        Raises:
            DependencyUnavailable: the bus did not take it.
        """
        with translated(f"publishing {event.name}"):
            answer = self._events.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": SOURCE,
                        "DetailType": event.name,
                        "Detail": event.to_json(),
                    }
                ]
            )
        if answer["FailedEntryCount"]:
            raise DependencyUnavailable(f"the bus refused {event.name}: {answer['Entries'][0]}")
