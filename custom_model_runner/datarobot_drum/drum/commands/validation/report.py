"""The results as one self-contained HTML page: no script, no network."""

from collections.abc import Sequence
from html import escape

from datarobot_drum.drum.commands.validation.results import CheckResult, SampleRows, Status, summary
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.runtime_parameters import mask_secrets
from datarobot_drum.version import __version__

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --passed: #1a7f37; --failed: #cf222e; --skipped: #9a6700; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
.about { opacity: .75; margin-top: .25rem; }
.summary { font-size: 1.1rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }
.detail { overflow-wrap: anywhere; }
.status { font-weight: 600; white-space: nowrap; }
.PASSED { color: var(--passed); } .FAILED { color: var(--failed); } .SKIPPED { color: var(--skipped); }
.rows { overflow-x: auto; margin: .5rem 0; }
.rows table { width: auto; font: 13px/1.4 ui-monospace, monospace; }
.rows td, .rows th { white-space: nowrap; }
.rows caption { text-align: left; font-style: italic; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>Validation of {name}</title>
<style>{style}</style>
</head>
<body>
<h1>Validation of {name}</h1>
<p class="about">{about}</p>
<p class="summary {status}">{summary}</p>
<table>
<thead><tr><th>Check</th><th>Result</th><th>Details</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def page(model: ModelSettings, input_name: str, results: Sequence[CheckResult]) -> str:
    """Return the page; credentials are masked."""
    has_failed = any(result.status is Status.FAILED for result in results)
    about = f"{model.target_type.value} model in {model.code_dir}, input {input_name}, datarobot_drum {__version__}"
    return _PAGE.format(
        style=_STYLE,
        name=_text(model.code_dir.name),
        about=_text(about),
        status=(Status.FAILED if has_failed else Status.PASSED).value,
        summary=_text(summary(results)),
        rows="\n".join(map(_row, results)),
    )


def _row(result: CheckResult) -> str:
    detail = _text(result.detail) + (_rows(result.sample_rows) if result.sample_rows else "")
    status = result.status.value
    return (
        f'<tr><td>{_text(result.title)}</td><td class="status {status}">{status}</td>'
        f'<td class="detail">{detail}</td></tr>'
    )


def _rows(sample_rows: SampleRows) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in sample_rows.columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in sample_rows.rows)
    caption = f"<caption>{_text(sample_rows.caption)}</caption>"
    return f'<div class="rows"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(text: str) -> str:
    return escape(mask_secrets(text))
