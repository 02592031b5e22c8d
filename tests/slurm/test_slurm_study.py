"""A small study on the cluster, under the profile that ships, while it is killed five times."""

import argparse
import json

import pytest

from slurm.chaos import storms


@pytest.mark.timeout(900)
def test_a_study_that_is_killed_five_times_has_the_tables_of_an_undisturbed_one(cluster, tmp_path, capsys):
    given = argparse.Namespace(seed=3, kills=5, pause=8.0, minutes=14.0, study="small")
    with (tmp_path / "chaos.jsonl").open("w+", encoding="utf-8") as log:
        code = storms(cluster, tmp_path, given, log)
        log.seek(0)
        lines = [json.loads(line) for line in log]
    told = capsys.readouterr().out
    assert code == 0, told
    summaries = [line for line in lines if "differences" in line]
    assert sum(summary["kills"] for summary in summaries) == 5
    assert not [wrong for summary in summaries for wrong in summary["differences"]]
