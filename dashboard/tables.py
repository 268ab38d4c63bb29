"""Tables of texts as HTML.

Belongs here: the markup of header groups, row groups and suppressed cells; its look is in style.css.
Does not belong here: numbers as text (wording.py), which table to show.
"""

from collections.abc import Iterable
from html import escape
from itertools import groupby

import pandas as pd

from dashboard.language import say
from dashboard.wording import is_suppressed

PROSE = 45
NUMERIC = set("0123456789−–<>+")


def to_html(texts: pd.DataFrame, caption: str = "") -> str:
    """Return a table: the index as row headers, a name only where it changes; a first of two column levels spans its columns.

    All texts are escaped; missing ones are empty. Columns of words stand left, numbers right. The caption is read to those
    who do not see the table's heading.
    """
    keys, columns = texts.index.names, texts.columns
    kinds = [_kind(texts.iloc[:, i].fillna("")) for i in range(texts.shape[1])]
    rows = [
        _row([_head(key or "", kind="key") for key in keys] + list(map(_head, columns.get_level_values(-1), kinds)))
    ]
    if columns.nlevels == 2:
        groups = [(name, len(list(members))) for name, members in groupby(columns.get_level_values(0))]
        rows.insert(0, _row([_head("", span=len(keys)), *(_head(name, span=span) for name, span in groups)]))
    body = map(_row, _body(texts, kinds))
    spoken = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="figures" tabindex="0" role="region" aria-label="{escape(caption or say("cell.table"))}"><table>{spoken}'
        f"<thead>{''.join(rows)}</thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _kind(texts: pd.Series) -> str:
    """Return whether a column holds numbers, words, or sentences."""
    if texts.map(len).max() > PROSE:
        return "prose"
    return "number" if texts.map(lambda text: text[:1] in NUMERIC).mean() > 0.5 else "words"


def _body(texts: pd.DataFrame, kinds: list[str]) -> Iterable[list[str]]:
    before = None
    for key, values in zip(texts.index, texts.fillna("").to_numpy(), strict=True):
        names = key if isinstance(key, tuple) else (key,)
        shown = ["" if len(names) > 1 and names[0] == before else names[0], *names[1:]]
        before = names[0]
        heads = [f'<th scope="row">{escape(name)}</th>' if name else "<td></td>" for name in shown]
        yield heads + list(map(_cell, values, kinds))


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _head(text: str, kind: str = "number", span: int = 1) -> str:
    return (
        f'<th scope="col" class="{kind}" colspan="{span}">{escape(text)}</th>'
        if text
        else f'<td colspan="{span}"></td>'
    )


def _cell(text: str, kind: str) -> str:
    return f'<td class="{kind}{" suppressed" if is_suppressed(text) else ""}">{escape(text)}</td>'
