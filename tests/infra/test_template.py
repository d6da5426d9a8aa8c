"""What the template promises, resource by resource."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from infra.process import VARIABLES

Resources = dict[str, dict[str, Any]]


def of(resources: Resources, kind: str) -> list[dict[str, Any]]:
    found = [item["Properties"] for item in resources.values() if item["Type"] == kind]
    assert found, f"no {kind} in the template"
    return found


def statements(resources: Resources) -> list[dict[str, Any]]:
    return [
        statement for policy in of(resources, "AWS::IAM::Policy") for statement in policy["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def workflow(machine: dict[str, Any]) -> dict[str, Any]:
    definition = machine["DefinitionString"]
    parts = [definition] if isinstance(definition, str) else definition["Fn::Join"][1]
    found: dict[str, Any] = json.loads("".join(part if isinstance(part, str) else "x" for part in parts))
    return found


def test_buckets_are_versioned_encrypted_private_and_have_a_lifecycle(resources: Resources) -> None:
    for bucket in of(resources, "AWS::S3::Bucket"):
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert any("NoncurrentVersionExpiration" in rule for rule in rules)
        assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_buckets_refuse_what_does_not_come_over_tls(resources: Resources) -> None:
    policies = of(resources, "AWS::S3::BucketPolicy")
    assert len(policies) == len(of(resources, "AWS::S3::Bucket"))
    for policy in policies:
        denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert any(s["Condition"].get("Bool") == {"aws:SecureTransport": "false"} for s in denied)


def test_nobody_may_do_everything(resources: Resources) -> None:
    for statement in statements(resources):
        for action in listed(statement["Action"]):
            assert "*" not in action, statement


def test_every_resource_with_a_bare_star_is_one_that_aws_cannot_name(resources: Resources) -> None:
    unnamed = {
        "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
        "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
        "states:SendTaskSuccess", "states:SendTaskFailure",
    }  # fmt: skip
    for statement in statements(resources):
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= unnamed, statement


def test_the_ledger_is_append_only(resources: Resources) -> None:
    ledger = next(name for name in resources if name.startswith("FoundationLedger"))
    for statement in statements(resources):
        if ledger in json.dumps(statement["Resource"]):
            assert set(listed(statement["Action"])) <= {"dynamodb:PutItem", "dynamodb:Query"}


def test_every_function_has_a_role_of_its_own_logs_with_an_end_tracing_and_a_time_out(resources: Resources) -> None:
    functions = of(resources, "AWS::Lambda::Function")
    roles = Counter(json.dumps(function["Role"]) for function in functions)
    assert set(roles.values()) == {1}
    for function in functions:
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["Timeout"] <= 900
        assert function["MemorySize"] <= 3008
        assert "ReservedConcurrentExecutions" not in function
        assert function["Architectures"] == ["x86_64"]
        assert len(function["Layers"]) <= 5
        assert VARIABLES.items() <= function["Environment"]["Variables"].items()
    for group in of(resources, "AWS::Logs::LogGroup"):
        assert group["RetentionInDays"] == 30


def test_every_workflow_is_logged_traced_and_ends(resources: Resources) -> None:
    for machine in of(resources, "AWS::StepFunctions::StateMachine"):
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["TracingConfiguration"] == {"Enabled": True}
        asl = workflow(machine)
        assert asl["QueryLanguage"] == "JSONata"
        assert asl["TimeoutSeconds"] > 0
        for name, state in asl["States"].items():
            if state["Type"] == "Task":
                assert state["TimeoutSeconds"] > 0, name
                assert {"Throttled", "DependencyUnavailable"} <= set(state["Retry"][0]["ErrorEquals"]), name


def test_the_files_of_a_set_run_five_at_a_time_and_all_must_succeed(resources: Resources) -> None:
    (ingest,) = (
        item for item in of(resources, "AWS::StepFunctions::StateMachine") if "ingest" in item["StateMachineName"]
    )
    maps = [state for state in workflow(ingest)["States"].values() if state["Type"] == "Map"]
    assert len(maps) == 2
    for state in maps:
        assert state["MaxConcurrency"] == 5
        assert not [name for name in state if name.startswith("Tolerated")]
        assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        (each,) = state["ItemProcessor"]["States"].values()
        assert {"Throttled", "DependencyUnavailable"} <= set(each["Retry"][0]["ErrorEquals"])
        # Whatever fails gives the claim back.
        assert [catch["Next"] for catch in state["Catch"]] == ["GiveBack"]


def test_a_workflow_starts_executions_of_itself_alone(resources: Resources) -> None:
    starting = [item for item in statements(resources) if "states:StartExecution" in listed(item["Action"])]
    own = [item for item in starting if item.get("Sid") == "StartItems"]
    # In the order of the stack: each of its own name, over its own work alone.
    touched = [item for item in statements(resources) if item.get("Sid") == "ReadItemsAndWriteAnswers"]
    for stage, prefix, start, touch in zip(("ingest", "score"), ("sets", "scoring"), own, touched, strict=True):
        assert json.dumps(start["Resource"]).count("stateMachine:") == 1
        assert f'stateMachine:interlock-dev-{stage}"' in json.dumps(start["Resource"])
        assert json.dumps(touch["Resource"]).endswith(f'"/{prefix}/*"]]}}')


def test_the_pieces_of_a_file_run_five_at_a_time_and_all_must_succeed(resources: Resources) -> None:
    (score,) = (
        item for item in of(resources, "AWS::StepFunctions::StateMachine") if "score" in item["StateMachineName"]
    )
    (pieces,) = (state for state in workflow(score)["States"].values() if state["Type"] == "Map")
    assert pieces["MaxConcurrency"] == 5
    assert not [name for name in pieces if name.startswith("Tolerated")]
    assert [catch["Next"] for catch in pieces["Catch"]] == ["GiveBack"]


def test_who_scores_a_file_touches_neither_data_nor_decisions(resources: Resources) -> None:
    ledger = next(name for name in resources if name.startswith("FoundationLedger"))
    policies = {
        name: json.dumps(item["Properties"]["PolicyDocument"])
        for name, item in resources.items()
        if item["Type"] == "AWS::IAM::Policy" and name.startswith("Score")
    }
    functions = {name: text for name, text in policies.items() if "Workflow" not in name}
    assert len(functions) == 5
    for name, policy in functions.items():
        assert ledger not in policy, name
        for prefix in ("incoming/", "datasets/", "training/", "captures/", "labels/", "quarantine/"):
            assert f"/{prefix}" not in policy, name
    writing = sorted(name.split("Role")[0] for name, text in functions.items() if "/predictions/*" in text)
    assert writing == ["ScoreScoreFail", "ScoreScoreFinish"]


def test_every_route_wants_a_signature(resources: Resources) -> None:
    for route in of(resources, "AWS::ApiGatewayV2::Route"):
        assert route["AuthorizationType"] == "AWS_IAM"
        assert "{proxy+}" not in route["RouteKey"]
        assert "$default" not in route["RouteKey"]


def test_the_console_reads_and_can_change_nothing(resources: Resources) -> None:
    (role,) = (name for name in resources if name.startswith("ConsoleShowRole") and "Policy" not in name)
    (policy,) = (p for p in of(resources, "AWS::IAM::Policy") if {"Ref": role} in p["Roles"])
    reads = {"dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"}
    own = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    allowed = {action for item in policy["PolicyDocument"]["Statement"] for action in listed(item["Action"])}
    assert allowed <= reads | own


@pytest.mark.parametrize(
    ("function", "prefix"),
    [
        ("IngestPlan", "parts/*"),
        ("IngestValidate", "training/*"),
        ("IngestMerge", "training/*"),
        ("ReleaseProbe", "models/*"),
        ("Guard", "training/*"),
    ],
)
def test_who_says_what_is_missing_may_tell_it_from_what_is_forbidden(
    resources: Resources, function: str, prefix: str
) -> None:
    """S3 answers 403 for an object that is not there to whoever may not list."""
    (role,) = (name for name in resources if name.startswith(f"{function}Role") and "Policy" not in name)
    (policy,) = (p for p in of(resources, "AWS::IAM::Policy") if {"Ref": role} in p["Roles"])
    (lists,) = (s for s in policy["PolicyDocument"]["Statement"] if s["Action"] == "s3:ListBucket")
    assert listed(lists["Condition"]["StringLike"]["s3:prefix"]) == [prefix]


def test_what_costs_while_idle_is_counted(resources: Resources) -> None:
    kinds = Counter(item["Type"] for item in resources.values())
    assert kinds["AWS::CloudWatch::Alarm"] <= 10
    assert kinds["AWS::CloudWatch::Dashboard"] == 1
    for costly in ("AWS::KMS::Key", "AWS::EC2::NatGateway", "AWS::SecretsManager::Secret", "AWS::EC2::VPCEndpoint"):
        assert costly not in kinds
    for table in of(resources, "AWS::DynamoDB::GlobalTable"):
        assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert sum(kinds.values()) < 400


def test_every_function_is_ours(resources: Resources) -> None:
    for function in of(resources, "AWS::Lambda::Function"):
        assert function["FunctionName"].startswith("interlock-dev-")
        assert function["Runtime"] == "python3.14"


def test_events_that_cannot_be_delivered_are_kept(resources: Resources) -> None:
    for rule in of(resources, "AWS::Events::Rule"):
        for target in rule["Targets"]:
            assert "DeadLetterConfig" in target, rule


def test_servings_alarms_reach_the_release(resources: Resources) -> None:
    rules = [
        rule
        for rule in of(resources, "AWS::Events::Rule")
        if rule["EventPattern"].get("detail-type") == ["CloudWatch Alarm State Change"]
    ]
    named = rules[0]["EventPattern"]["detail"]["alarmName"]
    assert set(named) <= {alarm["AlarmName"] for alarm in of(resources, "AWS::CloudWatch::Alarm")}
    assert "ReleaseAlarm" in json.dumps(rules[0]["Targets"][0]["Arn"])


def test_failed_workflows_and_alarms_reach_a_person(resources: Resources) -> None:
    topic = next(name for name, item in resources.items() if item["Type"] == "AWS::SNS::Topic")
    for alarm in of(resources, "AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"] == [{"Ref": topic}]
    failed = [
        rule
        for rule in of(resources, "AWS::Events::Rule")
        if rule["EventPattern"].get("detail-type") == ["Step Functions Execution Status Change"]
    ]
    assert failed[0]["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert failed[0]["Targets"][0]["Arn"] == {"Ref": topic}
    assert of(resources, "AWS::SNS::Subscription")[0]["Endpoint"] == "ops@example.com"


def test_a_chat_hears_what_the_topic_says_and_nothing_is_lost(resources: Resources) -> None:
    subscriptions = {item["Protocol"]: item for item in of(resources, "AWS::SNS::Subscription")}
    assert set(subscriptions) == {"email", "lambda"}
    assert "deadLetterTargetArn" in subscriptions["lambda"]["RedrivePolicy"]
    notify = next(item for item in of(resources, "AWS::Lambda::Function") if "notify" in item["FunctionName"])
    assert notify["Environment"]["Variables"]["ALERT_WEBHOOK"] == "https://chat.example.com/hook"


def test_no_function_of_a_stage_changes_before_the_guard_has_answered(resources: Resources) -> None:
    (question,) = (name for name, item in resources.items() if item["Type"] == "Custom::ChampionGuard")
    (guard, _) = resources[question]["Properties"]["ServiceToken"]["Fn::GetAtt"]
    functions = {name: item for name, item in resources.items() if item["Type"] == "AWS::Lambda::Function"}
    waiting = {name for name, item in functions.items() if question in item.get("DependsOn", [])}
    assert waiting == functions.keys() - {guard}
    assert resources[question]["Properties"]["BreakChampion"] == "false"
