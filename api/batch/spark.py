"""Apache Spark: chunks of a batch as tasks, and sales lines added up to periods.

A task is a chunk of up to 256 series, never one series: a Spark group costs as much as a forecast. Each task writes its
part as a process of the pool does, so both give the same files; on a cluster they lie where all machines can write
(a Databricks volume, a network disk).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from api.batch.parts import Part, do_part
from api.batch.plan import Plan
from api.batch.tables import BatchError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_WAVE = 8  # tasks a core in one Spark job: progress is told after each
_PART = pa.schema({"number": pa.int32(), "made": pa.int32(), "failed": pa.int32()})
_STEPS = {"D": "1 DAY", "W": "7 DAYS", "MS": "1 MONTH", "QS": "3 MONTHS"}


def run_spark(plan: Plan, numbers: Sequence[int], processes: int) -> Iterator[Part]:
    """Do chunks as tasks of Spark; parts come a wave at a time. `processes` is for a Spark on this machine alone."""
    with session(processes) as spark:
        wave = _WAVE * _cores(spark, processes)
        for first in range(0, len(numbers), wave):
            chosen = list(numbers[first : first + wave])
            tasks = spark.range(0, len(chosen), 1, len(chosen))
            rows = tasks.mapInArrow(_worker(plan, chosen), "number int, made int, failed int").collect()
            yield from (Part(row["number"], row["made"], row["failed"]) for row in rows)


def _cores(spark: SparkSession, processes: int) -> int:
    """How many tasks run at the same time; Spark Connect does not say."""
    try:
        return int(max(1, spark.sparkContext.defaultParallelism))
    except Exception:  # noqa: BLE001 - of a type that depends on the server
        return processes


def _worker(plan: Plan, numbers: list[int]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            done = [do_part(plan, numbers[at]) for at in batch["id"].to_pylist()]
            columns = zip(*((part.number, part.made, part.failed) for part in done), strict=True)
            yield pa.record_batch([list(column) for column in columns], schema=_PART)

    return work


@contextmanager
def session(processes: int) -> Iterator[SparkSession]:
    """The session that is there (as on Databricks), or one of this machine for the length of the block."""
    from pyspark.sql import SparkSession

    for name in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        os.environ.setdefault(name, sys.executable)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    builder = SparkSession.builder.appName("groundswell").config("spark.ui.showConsoleProgress", "false")
    if not {"MASTER", "SPARK_MASTER_URL", "SPARK_REMOTE", "DATABRICKS_RUNTIME_VERSION"} & set(os.environ):
        builder = builder.master(f"local[{processes}]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.sql.shuffle.partitions", str(4 * processes))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def periods_of(
    lines: DataFrame, *, category: str, date: str, quantity: str, frequency: str, gaps: Literal["zero", "missing"]
) -> DataFrame:
    """Sales lines (one row a sale) added up to periods: category, date, quantity.

    `date` is the label of the period. The period that was not over on the last day of all lines is left out. With
    `gaps="zero"` a period without a line, between the first and the last of its category, sold nothing. Raises
    BatchError for lines that say nothing.
    """
    from pyspark.sql import functions as F  # noqa: N812 - as everybody calls it

    named = F.col(category).cast("string").alias("category")
    sold = F.col(quantity).cast("double").alias("quantity")
    chosen = lines.select(named, F.to_date(F.col(date)).alias("day"), sold)
    nameless = chosen.where(F.col("category").isNull() | F.col("day").isNull() | F.col("quantity").isNull()).count()
    if nameless:
        raise BatchError(f"{nameless:,} lines have no category, no date or no quantity; leave them out, or mend them")
    labelled = chosen.withColumn("date", _label("day", frequency))
    last = chosen.agg(F.max("day").alias("last"))
    over = labelled.crossJoin(F.broadcast(last)).where(_end("date", frequency) <= F.col("last"))
    summed = over.groupBy("category", "date").agg(F.sum("quantity").alias("quantity"))
    if gaps == "missing":
        return summed
    step = F.expr(f"INTERVAL {_STEPS[frequency.split('-')[0]]}")
    ends = summed.groupBy("category").agg(F.min("date").alias("first"), F.max("date").alias("final"))
    grid = ends.select("category", F.explode(F.sequence("first", "final", step)).alias("date"))
    filled = grid.join(summed, ["category", "date"], "left")
    return filled.select("category", "date", F.coalesce("quantity", F.lit(0.0)).alias("quantity"))


def _label(day: str, frequency: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    if frequency == "D":
        return F.col(day)
    if frequency in ("MS", "QS"):
        return F.trunc(F.col(day), "month" if frequency == "MS" else "quarter")
    return F.next_day(F.date_sub(F.col(day), 1), frequency[2:])


def _end(label: str, frequency: str) -> Any:
    """The last day of the period."""
    from pyspark.sql import functions as F  # noqa: N812

    if frequency in ("MS", "QS"):
        return F.last_day(F.add_months(F.col(label), 0 if frequency == "MS" else 2))
    return F.col(label)


def write_periods(periods: DataFrame, out: str) -> None:
    """Write Parquet in the order of series, as `run` reads it without sorting it again, and `import sales` too."""
    ordered = periods.repartitionByRange("category").sortWithinPartitions("category", "date")
    ordered.write.mode("errorifexists").parquet(out)


def prepare_lines(lines: str, out: str, kind: str, processes: int, **columns: Any) -> int:
    """Add up lines and write them; how many periods there are. Raises BatchError where Spark cannot do it."""
    from pyspark.errors import PySparkException

    options = {"header": "true", "inferSchema": "true"} if kind == "csv" else {}
    with session(processes) as spark:
        try:
            write_periods(periods_of(spark.read.format(kind).options(**options).load(lines), **columns), out)
            return int(spark.read.parquet(out).count())
        except PySparkException as error:
            raise BatchError(" ".join(str(error).split())[:300]) from error
