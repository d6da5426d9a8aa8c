"""Contracts as a test writes them."""

from __future__ import annotations

from typing import Any


def rule(metric: str, **more: Any) -> dict[str, Any]:
    return {"metric": metric, "mustBe": 0} | more


def contract(*properties: dict[str, Any], **schema: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "c",
        "version": "1.2.3",
        "status": "active",
        "schema": [{"name": "t", "properties": list(properties) or [column()]} | schema],
    }


def custom(implementation: Any, **more: Any) -> dict[str, Any]:
    return {"type": "custom", "engine": "interlock", "implementation": implementation} | more


def sql(query: str, **more: Any) -> dict[str, Any]:
    return {"type": "sql", "query": query, "mustBe": 0} | more


def column(**more: Any) -> dict[str, Any]:
    return {"name": "a", "logicalType": "string"} | more
