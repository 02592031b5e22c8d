"""`posologie partitions`: the partition file of a cluster, from the output of `sinfo`."""

import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from posologie.cli import commands, partitions
from posologie.running.errors import InputError

# As sinfo prints them: CPU nodes of two sizes, H100 and V100 nodes, a partition that is down, one for debugging.
TOLD = """\
cpu_p1|up|20:00:00|80|191752|(null)|cascadelake
cpu_p1|up|20:00:00|40|191752|(null)|cascadelake,fat
gpu_p6|up|4-04:00:00|96|515552|gpu:h100:4(S:0-1)|h100
gpu_p2|up|20:00:00|48|385522|gpu:v100:8|v100
old|down|20:00:00|48|385522|gpu:k80:8|
debug|up|30:00|4|16000|gpu:2|(null)
endless|up|infinite|4|16000|(null)|(null)
"""


def test_each_partition_offers_what_its_largest_node_does():
    assert partitions.partitions(TOLD.splitlines()) == {
        "cpu_p1": {
            "max_runtime": 1200,
            "max_threads": 80,
            "max_mem_mb": 191752,
            "available_constraints": ["cascadelake", "fat"],
        },
        "gpu_p6": {
            "max_runtime": 6000,
            "max_threads": 96,
            "max_mem_mb": 515552,
            "max_gpu": 4,
            "available_gpu_models": ["h100"],
            "available_constraints": ["h100"],
        },
        "gpu_p2": {
            "max_runtime": 1200,
            "max_threads": 48,
            "max_mem_mb": 385522,
            "max_gpu": 8,
            "available_gpu_models": ["v100"],
            "available_constraints": ["v100"],
        },
        "debug": {"max_runtime": 30, "max_threads": 4, "max_mem_mb": 16000, "max_gpu": 2},
        "endless": {"max_threads": 4, "max_mem_mb": 16000},
    }


def test_the_plugin_reads_what_is_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(partitions, "_sinfo", lambda: TOLD)
    assert commands.main(["partitions", "--out", str(tmp_path / "partitions.yaml"), "--only", "gpu_p6", "cpu_p1"]) == 0
    assert "2 partitions" in capsys.readouterr().out
    [cpu, gpu] = read_partition_file(tmp_path / "partitions.yaml")
    assert (cpu.name, cpu.limits.max_runtime, cpu.limits.max_gpu) == ("cpu_p1", 1200, 0)
    assert (gpu.name, gpu.limits.max_gpu, gpu.limits.available_gpu_models) == ("gpu_p6", 4, ["h100"])
    assert set(yaml.safe_load((tmp_path / "partitions.yaml").read_text())["partitions"]) == {"cpu_p1", "gpu_p6"}


def test_in_a_profile_the_key_alone_is_replaced(monkeypatch, tmp_path, repository):
    monkeypatch.setattr(partitions, "_sinfo", lambda: TOLD)
    shipped = (repository / "profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    profile = tmp_path / "profile.yaml"
    profile.write_text(shipped, encoding="utf-8")
    commands.main(["partitions", "--out", str(profile)])
    assert profile.read_text(encoding="utf-8").startswith(shipped)
    profile.write_text(f"{profile.read_text(encoding='utf-8')}\n# mine\nkeep-going: true\n", encoding="utf-8")
    commands.main(["partitions", "--out", str(profile), "--only", "cpu_p1"])
    text = profile.read_text(encoding="utf-8")
    assert text.startswith(shipped)
    assert text.endswith("\n# mine\nkeep-going: true\n")
    assert [partition.name for partition in read_partition_file(profile)] == ["cpu_p1"]


def test_an_unknown_partition_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(partitions, "_sinfo", lambda: TOLD)
    assert commands.main(["partitions", "--only", "gpu_p9"]) == 2
    assert "gpu_p9: no such partition is up; available: cpu_p1," in capsys.readouterr().err


def test_a_line_of_another_form_is_named():
    with pytest.raises(InputError, match="sinfo said 'cpu up'"):
        partitions.partitions(["cpu up"])


def test_without_slurm_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(partitions.shutil, "which", lambda name: None)
    assert commands.main(["partitions"]) == 2
    assert "expected SLURM's commands on this machine" in capsys.readouterr().err
