"""The panel's tables: texts by rows, as high as their rows (the .ui says so), never wider than the panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt


def prepareTable(table: Any, wideColumn: int) -> None:
    """Fit each column to its texts, but for ``wideColumn``, which gets what is left and may be cut short."""
    for column in range(table.columnCount):
        heading = table.horizontalHeaderItem(column)
        heading.setText(heading.text().replace(" (", "\n("))  # the unit below the quantity: half as wide
    header = table.horizontalHeader()
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(wideColumn, qt.QHeaderView.Stretch)


def fillTable(
    table: Any, rows: Sequence[Sequence[str]], numberColumns: Sequence[int] = (), ticks: Sequence[bool] = ()
) -> None:
    """Replace a table's rows. numberColumns: aligned to the right. ticks: boxes before the first rows' texts."""
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)  # the whole of a text that is cut short
            if column in numberColumns:
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if column == 0 and row < len(ticks):
                # Before the item is in the table, whose columns leave no room for a box that comes later.
                item.setCheckState(qt.Qt.Checked if ticks[row] else qt.Qt.Unchecked)
            table.setItem(row, column, item)
