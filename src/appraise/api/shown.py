"""A valuation as a table: printed, in a notebook, as a data frame."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd
from markupsafe import escape

from appraise.presentation.terminal import table
from appraise.presentation.wording import listed, money, percent

UNKNOWN = math.nan


@dataclass(frozen=True)
class Line:
    """What is said of a dataset; NaN where a number is not known.

    Attributes:
        dataset: its id.
        bought: whether it is.
        weight: what it is worth.
        low, high: ends of the weight's interval.
        bought_in: part of the resamples in which it is bought.
        price: what it costs.
        worth_up_to: the largest price at which it is bought; infinite where no price matters.
        alignment: of its gradient with the target's.
        why: a sentence.
    """

    dataset: str
    bought: bool
    weight: float
    low: float
    high: float
    bought_in: float
    price: float
    worth_up_to: float
    alignment: float
    why: str


class Shown:
    """What can be shown as a table."""

    @abstractmethod
    def lines(self) -> Sequence[Line]:
        """A line for each dataset, those bought first."""

    @property
    def currency(self) -> str:
        """Of the prices; "" where it has no name."""
        return ""

    @property
    def reasons(self) -> dict[str, str]:
        """Dataset → why it is bought or not."""
        return {line.dataset: line.why for line in self.lines()}

    @property
    def headline(self) -> str:
        """What to buy, as a sentence."""
        bought = [line for line in self.lines() if line.bought]
        if not bought:
            return "Buy nothing."
        cost = sum(line.price for line in bought)
        paid = "" if math.isnan(cost) else f" for {self._money(cost)}"
        return f"Buy {listed([line.dataset for line in bought])}{paid}."

    def to_frame(self) -> pd.DataFrame:
        """A row for each dataset, those bought first; the columns are the fields of a `Line`."""
        names = [field.name for field in fields(Line)]
        return pd.DataFrame([asdict(line) for line in self.lines()], columns=names)

    def __str__(self) -> str:
        head, rows = self._cells()
        return f"{self.headline}\n\n{table(head, rows, range(2, len(head) - 1))}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        head, rows = self._cells()
        titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        body = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in rows)
        return (
            f"<p>{escape(self.headline)}</p><table><thead><tr>{titles}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """The columns in which anything is known, and what they say of each dataset."""
        lines = self.lines()
        columns: dict[str, list[str]] = {
            "weight": [_known(line.weight, "{:.3f}".format) for line in lines],
            "interval": [_known(line.low, f"{{:.3f}} to {line.high:.3f}".format) for line in lines],
            "bought in": [_known(line.bought_in, percent) for line in lines],
            "price": [_known(line.price, self._money) for line in lines],
            "worth up to": [_known(line.worth_up_to, self._money) for line in lines],
        }
        known = {name: cells for name, cells in columns.items() if set(cells) - {"-"}}
        marks = ["✓" if line.bought else "" for line in lines]
        names, whys = [line.dataset for line in lines], [line.why for line in lines]
        rows = [list(row) for row in zip(marks, names, *known.values(), whys, strict=True)]
        return ["", "dataset", *known, "why"], rows

    def _money(self, amount: float) -> str:
        return money(amount, self.currency).strip() if math.isfinite(amount) else "any price"


def _known(number: float, shown: Callable[[float], str]) -> str:
    return "-" if math.isnan(number) else shown(number)
