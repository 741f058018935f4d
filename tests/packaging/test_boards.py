"""The alert rules and the dashboard: every series that they name exists in a scrape."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from datarobot_drum.drum.serving.scraping import scrape_server
from tests.serving.metrics.test_recorder import recorder

DEPLOY = Path(__file__).parents[2] / "deploy"
SERIES = re.compile(r"\b(?:drum|process)_\w+")


def scraped_series() -> set[str]:
    """The names of all series of a server."""
    own = recorder()
    own.describe_model({"model": "a"})
    own.request_ended("/predict", 200, 0.1)
    text = scrape_server(own.read_server(), None).content.decode()
    return set(re.findall(r"^(\w+)", text, re.MULTILINE))


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "drum.rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def board() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DEPLOY / "grafana" / "drum.json").read_text(encoding="utf-8"))
    return document


def test_rules_name_series_that_exist_and_have_a_runbook() -> None:
    known = scraped_series()
    assert len({rule["alert"] for rule in alerts()}) == len(alerts()) > 5
    for rule in alerts():
        assert {*SERIES.findall(rule["expr"])} <= known, rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["runbook"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_board_shows_every_metric_and_names_only_series_that_exist() -> None:
    expressions = [target["expr"] for panel in board()["panels"] for target in panel["targets"]]
    named = {name for expression in expressions for name in SERIES.findall(expression)}
    assert named <= scraped_series()
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in scraped_series()}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} == known
