"""A small study on the cluster, under the profile that ships, while it is killed, held and edited five times."""

import argparse
import json

import pytest

from slurm.chaos import storms


@pytest.mark.timeout(900)
def test_a_study_that_is_disturbed_five_times_ends_as_a_calm_run_of_its_last_configuration(cluster, tmp_path, capsys):
    options = argparse.Namespace(seed=3, kills=5, pause=8.0, minutes=14.0, study="small", edits=True)
    with (tmp_path / "chaos.jsonl").open("w+", encoding="utf-8") as log:
        code = storms(cluster, tmp_path, options, log)
        log.seek(0)
        lines = [json.loads(line) for line in log]
    output = capsys.readouterr().out
    assert code == 0, output
    summaries = [line for line in lines if "differences" in line]
    assert sum(summary["kills"] for summary in summaries) == 5
    assert not [wrong for summary in summaries for wrong in summary["differences"]]
