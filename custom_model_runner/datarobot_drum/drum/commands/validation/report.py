"""The results as one self-contained HTML page, failures first: no script, no network."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from datarobot_drum.drum.commands.report_facts import model_facts, run_facts
from datarobot_drum.drum.commands.validation.advice import advice_for
from datarobot_drum.drum.commands.validation.results import CheckResult, SampleRows, Status, summary
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.runtime_parameters import mask_secrets

_TEMPLATE = Path(__file__).with_name("report.html")


def page(model: ModelSettings, input_name: str, results: Sequence[CheckResult]) -> str:
    """Return the page; credentials are masked."""
    failed = [result for result in results if result.status is Status.FAILED]
    others = [result for result in results if result.status is not Status.FAILED]
    facts = (*model_facts(model), ("input", input_name), *run_facts())
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=_text(model.code_dir.name),
        status=(Status.FAILED if failed else Status.PASSED).value,
        summary=_text(summary(results)),
        facts="\n".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts),
        failures="\n".join(['<h2 class="FAILED">Failed: what to do</h2>', *map(_failure, failed)]) if failed else "",
        heading="Other checks" if failed else "Checks",
        rows="\n".join(map(_row, others)),
    )


def _failure(result: CheckResult) -> str:
    advice = advice_for(result)
    return "\n".join(
        [
            '<section class="failure">',
            f'<h3>{_text(result.title)} <span class="status FAILED">FAILED</span></h3>',
            f"<p>{_text(result.detail)}</p>",
            f'<p class="advice">{_text(advice)}</p>' if advice else "",
            _rows(result.sample_rows) if result.sample_rows else "",
            "</section>",
        ]
    )


def _row(result: CheckResult) -> str:
    status = result.status.value
    return (
        f'<tr><td>{_text(result.title)}</td><td class="status {status}">{status}</td>'
        f"<td>{_text(result.detail)}</td></tr>"
    )


def _rows(sample_rows: SampleRows) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in sample_rows.columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in sample_rows.rows)
    caption = f"<caption>{_text(sample_rows.caption)}</caption>"
    table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="rows" tabindex="0">{table}</div>'


def _text(text: str) -> str:
    return escape(mask_secrets(text))
