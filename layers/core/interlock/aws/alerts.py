"""SNS: what a person must know."""

from __future__ import annotations

from interlock.aws.client import client, translated


class AlertTopic:
    """The topic to which the deployer's e-mail address is subscribed."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._sns = client("sns")

    def send(self, subject: str, text: str) -> None:
        """Publish a message; SNS takes subjects of at most 100 ASCII characters without line breaks."""
        subject = subject.encode("ascii", "replace").decode().replace("\n", " ")[:100]
        with translated("sending an alert"):
            self._sns.publish(TopicArn=self._arn, Subject=subject, Message=text)
