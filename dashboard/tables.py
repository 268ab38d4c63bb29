"""Tables of texts as HTML.

Belongs here: the markup of header groups, row groups and suppressed cells; its look is in style.css.
Does not belong here: numbers as text (wording.py), which table to show.
"""

from collections.abc import Iterable
from html import escape
from itertools import groupby

import pandas as pd

from dashboard.wording import SUPPRESSED


def to_html(texts: pd.DataFrame) -> str:
    """Return a table: the index as row headers, a name only where it changes; a first of two column levels spans its columns.

    All texts are escaped; missing ones are empty.
    """
    keys, columns = texts.index.names, texts.columns
    rows = [
        _row([_head(name or "", kind="key") for name in keys] + [_head(name) for name in columns.get_level_values(-1)])
    ]
    if columns.nlevels == 2:
        groups = [(name, len(list(members))) for name, members in groupby(columns.get_level_values(0))]
        rows.insert(0, _row([_head("", len(keys)), *(_head(name, span) for name, span in groups)]))
    body = map(_row, _body(texts))
    return f'<div class="figures"><table><thead>{"".join(rows)}</thead><tbody>{"".join(body)}</tbody></table></div>'


def _body(texts: pd.DataFrame) -> Iterable[list[str]]:
    before = None
    for key, values in zip(texts.index, texts.fillna("").to_numpy(), strict=True):
        names = key if isinstance(key, tuple) else (key,)
        shown = ["" if len(names) > 1 and names[0] == before else names[0], *names[1:]]
        before = names[0]
        yield [f'<th scope="row">{escape(name)}</th>' for name in shown] + [_cell(text) for text in values]


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _head(text: str, span: int = 1, kind: str = "value") -> str:
    return f'<th class="{kind}" colspan="{span}">{escape(text)}</th>'


def _cell(text: str) -> str:
    return f'<td class="suppressed">{text}</td>' if text == SUPPRESSED else f"<td>{escape(text)}</td>"
