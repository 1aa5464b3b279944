"""The tables of scores: what was forecast beside what is known of it by now. All of it can be made again.

Forecasts that say the same of the same origin are one *edition*, which is scored once for all their receipts.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from api.database import scores_metadata

_NUMBER = sa.BigInteger  # an edition: 63 bits of a digest of what it says
_CLUSTERED: dict[str, Any] = {
    "sqlite_with_rowid": False
}  # rows lie in the order of their key: half the pages, half the time
BOUNDS = ("lower80", "upper80", "lower95", "upper95")

scored_receipt = sa.Table(  # of the ledger's forecasts those that were looked at
    "scored_receipt",
    scores_metadata,
    sa.Column("receipt", sa.String(40), primary_key=True),
    sa.Column("edition", _NUMBER),  # none where it does not speak for the store
    sa.Index("scored_receipt_of_edition", "edition"),
    **_CLUSTERED,
)

edition = sa.Table(
    "edition",
    scores_metadata,
    sa.Column("edition", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("origin", sa.Date, nullable=False),  # last day of the last period that was known
    sa.Column("receipt", sa.String(40), nullable=False),  # the last that says so
    sa.Column("as_of", sa.DateTime, nullable=False),
    sa.Column("data_version", sa.BigInteger, nullable=False),
    sa.Column("configuration", sa.String(40)),
    sa.Column("role", sa.String(20)),
    sa.Column("rank", sa.Integer, nullable=False),  # which of an origin counts: the lowest, then the last
    sa.Column("frequency", sa.String(10), nullable=False),
    sa.Column("first", sa.Date, nullable=False),  # labels of the periods that it forecasts
    sa.Column("last", sa.Date, nullable=False),
    sa.Column("opened", sa.Boolean, nullable=False, default=False),  # its rows are there: a period of it is known
    sa.Column("scale", sa.Double),  # mean absolute error of seasonal naive in the history that was known
    sa.Column("without", sa.String(20)),  # of the model without signals: made, same, failed; none: not tried
    sa.Index("edition_of_origin", "category", "origin", "rank", "receipt"),
    sa.Index("edition_to_open", "opened", "category", "first"),
    **_CLUSTERED,
)

score = sa.Table(  # what an edition says of a period; with the actual of the period it is a score
    "score",
    scores_metadata,
    sa.Column("edition", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("lead", sa.Integer, nullable=False),  # periods after the last one that was known
    sa.Column("nowcast", sa.Boolean, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("median", sa.Double, nullable=False),
    *(sa.Column(name, sa.Double) for name in BOUNDS),
    sa.Column("naive", sa.Double),
    sa.Column("seasonal_naive", sa.Double),
    sa.Column("published", sa.Double),  # what people had made of the value; none: nothing
    sa.Column("published_median", sa.Double),  # and of the median, whose error is told
    **_CLUSTERED,
)

remade = sa.Table(  # the same forecasts by another configuration: without signals, or a challenger's
    "remade",
    scores_metadata,
    sa.Column("edition", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("configuration", sa.String(40), primary_key=True),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("median", sa.Double, nullable=False),
    *(sa.Column(name, sa.Double) for name in BOUNDS),
    **_CLUSTERED,
)

actual = sa.Table(
    "actual",
    scores_metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("first", sa.Double),  # as it was first known once the period was over
    sa.Column("first_known", sa.DateTime),
    sa.Column("latest", sa.Double),  # none: it was withdrawn
    sa.Column("latest_known", sa.DateTime, nullable=False),
    **_CLUSTERED,
)

followed = sa.Table(  # from which period on the actuals of a category are here
    "followed",
    scores_metadata,
    sa.Column("category", sa.String(200), primary_key=True),
    sa.Column("since", sa.Date, nullable=False),
)

score_state = sa.Table(
    "score_state",
    scores_metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(60), nullable=False),
)
