"""Tasks whose results are files, handed to Apache Beam: shards, swapped clips.

Beam distributes the very function that is called without it, so the results are the
same and a file that exists is skipped; Beam's own file writing is not used, as it
cannot resume. All workers must see the input and the target folder under the same path
(a shared file system). The runners:

    FnApiRunner      in this process; --beam_options=--direct_num_workers=2,\
--direct_running_mode=multi_processing for several
    FlinkRunner      --beam_options=--flink_master=HOST:8081,--environment_type=LOOPBACK
    SparkRunner      --beam_options=--spark_master_url=spark://HOST:7077
    DataflowRunner   --beam_options=--project=P,--region=R,--temp_location=gs://B/tmp,\
--sdk_container_image=IMAGE (an image with this package and the mounted folders)

FlinkRunner and SparkRunner start a Java job server that Beam downloads on first use;
workers need this package installed. Plain DirectRunner tries to download a program of
its own first: FnApiRunner stays offline.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from typing import Any

from facedancer.errors import InputError

RUNNERS = (
    "FnApiRunner",
    "DirectRunner",
    "FlinkRunner",
    "SparkRunner",
    "DataflowRunner",
)


def installed() -> bool:
    """Returns whether Apache Beam can be imported."""
    return importlib.util.find_spec("apache_beam") is not None


def run(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    runner: str,
    options: tuple[str, ...] = (),
) -> None:
    """Calls a function for each task in a Beam pipeline and waits for the end.

    Args:
        function: Of a module, so that workers can import it; what it gives is dropped.
        tasks: What can be pickled.
        runner: One of `RUNNERS`.
        options: Pipeline options as on a command line.

    Raises:
        InputError: If Beam is not installed.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise InputError(
            f'--runner={runner} needs Apache Beam ({error}): pip install "facedancer'
            '[beam]", or leave --runner out'
        ) from None
    pipeline_options = PipelineOptions([f"--runner={runner}", *options])
    with beam.Pipeline(options=pipeline_options) as pipeline:
        _ = (
            pipeline
            | "Plan" >> beam.Create(list(tasks))
            | "Spread" >> beam.Reshuffle()
            | "Work" >> beam.Map(function)
        )
