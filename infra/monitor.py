"""Monitor: served traffic in, a verdict and perhaps a retraining out."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.schedules import start_for
from infra.workflow import Workflow, begin, choose, fail, jsonata, succeed, task
from interlock.models import DeployedModel


class Monitor(Construct):
    """compact → drift → decide, by each model's own schedule."""

    def __init__(self, scope: Construct, foundation: Foundation, models: tuple[DeployedModel, ...]) -> None:
        super().__init__(scope, "Monitor")
        compact = (
            StageFunction(
                self,
                foundation,
                "monitor",
                "compact",
                "Puts small capture files together",
                layers=["numeric", "tabular"],
                memory=2048,
                timeout=Duration.minutes(15),
                scratch_mb=4096,
            )
            .reads("captures/", listing=True)
            .writes("captures/")
            .removes("captures/")
        )
        drift = (
            StageFunction(
                self,
                foundation,
                "monitor",
                "drift",
                "Compares served traffic with the training data, and answers with labels",
                layers=["numeric", "tabular"],
                memory=2048,
                timeout=Duration.minutes(15),
                scratch_mb=4096,
            )
            .reads("captures/", "labels/", listing=True)
            .writes("reports/")
            .reads_artefacts("models/")
            .sees_state()
        )
        decide = (
            StageFunction(
                self,
                foundation,
                "monitor",
                "decide",
                "Decides what a drift leads to",
                layers=["numeric"],
                environment={"TRAINING_PRICE_PER_HOUR": str(foundation.settings.training_price_per_hour)},
            )
            .reads("reports/", "training/", listing=True)
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
        )
        self.workflow = Workflow(
            self,
            foundation,
            "monitor",
            {
                "Start": begin({"model": jsonata("$states.input.model")}, "Compact"),
                "Compact": task(
                    compact,
                    {"model": jsonata("$model"), "at": jsonata("$states.context.Execution.StartTime")},
                    catch=[("States.ALL", "Drift")],
                    next_state="Drift",
                ),
                "Drift": task(
                    drift,
                    {
                        "model": jsonata("$model"),
                        "at": jsonata("$states.context.Execution.StartTime"),
                        "execution": jsonata("$states.context.Execution.Id"),
                    },
                    assign={
                        "window": jsonata("$states.result.Payload.window"),
                        "result": jsonata("$states.result.Payload.result"),
                        "more": jsonata("$states.result.Payload.more"),
                    },
                    catch=[("NotServing", "NothingServes"), ("States.ALL", "Failed")],
                    next_state="Decide",
                ),
                "Decide": task(
                    decide,
                    {"model": jsonata("$model"), "window": jsonata("$window"), "result": jsonata("$result")},
                    catch=[("States.ALL", "Failed")],
                    next_state="More",
                ),
                # Of windows by number, several may have become full since the last check.
                "More": choose("$more", "Drift", "Decided"),
                "Decided": succeed(),
                "NothingServes": succeed(),
                "Failed": fail(),
            },
            functions=[compact, drift, decide],
            timeout=Duration.hours(1),
        )
        if webhook := foundation.settings.alert_webhook:
            notify = StageFunction(
                self,
                foundation,
                "monitor",
                "notify",
                "Hands alerts on to a chat",
                timeout=Duration.seconds(30),
                environment={"ALERT_WEBHOOK": webhook},
            )
            foundation.alerts.add_subscription(
                subscriptions.LambdaSubscription(notify.function, dead_letter_queue=foundation.dead_letters)
            )
        for model in models:
            start_for(self, model.id, model.spec.monitoring.schedule, self.workflow, {"model": model.id})
