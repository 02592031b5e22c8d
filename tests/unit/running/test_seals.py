"""What a seal says, which files it covers, and how differences are put into words."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from posologie.running.errors import InputError
from posologie.running.seals import (
    FileHashes,
    Identity,
    check_seal,
    checked_sum,
    further_files,
    in_one_line,
    mark_of,
    origin,
    packed_seals,
    read_seal,
    seal_of,
    seals_below,
    spec_differences,
    write_seal,
)

IDENTITY = Identity("posologie.mixes", "c0de", {"mix": "été", "a": [1, {"b": None}]}, {"size": 3})
CHECKSUM = "91137cfab30844a34b4f7b059ed5912b"
SHA_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sealed(*outputs, text="a", **made):
    for output in outputs:
        os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
        with open(output, "w") as file:
            file.write(text)
    write_seal(outputs, IDENTITY, {"in.txt": "1", "é.txt": "2"}, made)
    return read_seal(f"{outputs[0]}.seal.json")


def test_a_seal_is_read_as_it_was_written():
    seal = sealed("x/out.txt", "y/more.txt", seconds=1.5)
    assert seal.identity == IDENTITY
    assert seal.inputs == {"in.txt": "1", "é.txt": "2"}
    assert seal.made == {"seconds": 1.5}
    assert {str(path): checksum for path, checksum in seal.files().items()} == {"x/out.txt": SHA_A, "y/more.txt": SHA_A}
    assert list(seal.outputs) == ["../y/more.txt", "out.txt"], "as seen from the seal's folder"
    facts = json.loads(seal.path.read_text())
    assert set(facts) == {"format", "module", "code", "spec", "settings", "inputs", "outputs", "made"}
    assert facts["format"] == 1


def test_the_checksum_of_an_identity_is_the_same_in_every_version():
    """Jobs of one version read the plan of another."""
    assert IDENTITY.text() == CHECKSUM
    assert Identity("posologie.mixes", "other", {"a": [1, {"b": None}], "mix": "été"}, {"size": 3}).text() == CHECKSUM
    assert Identity("posologie.other", "c0de", IDENTITY.spec, IDENTITY.settings).text() != CHECKSUM
    assert Identity("posologie.mixes", "c0de", IDENTITY.spec, {"size": 3.0}).text() != CHECKSUM


def test_an_origin_is_a_checksum_of_identity_code_and_all_inputs_by_their_paths_from_the_end():
    text = json.dumps([IDENTITY.text(), "c0de", ["1", "2"]])
    assert origin(IDENTITY, {"b/x": "1", "a/y": "2"}) == hashlib.sha256(text.encode()).hexdigest()
    assert origin(IDENTITY, {"moved/y": "2", "moved/x": "1"}) == origin(IDENTITY, {"b/x": "1", "a/y": "2"})
    assert origin(IDENTITY, {"b/x": "1", "a/y": ""}) == "", "what is behind one input is not known"


def test_the_origin_of_a_seal_has_the_origins_of_inputs_that_are_artifacts_in_the_place_of_their_checksums():
    plain = sealed("out.txt")
    assert (plain.origins, plain.origin()) == (None, ""), "a seal of an earlier version"
    write_seal(["out.txt"], IDENTITY, {"in.txt": "1", "é.txt": "2"}, {}, {"in.txt": "behind"})
    seal = read_seal("out.txt.seal.json")
    assert seal.origins == {"in.txt": "behind"}
    assert seal.origin() == origin(IDENTITY, {"in.txt": "behind", "é.txt": "2"}) != ""
    assert json.loads(seal.path.read_text())["origins"] == {"in.txt": "behind"}


def test_files_beside_an_artifact_belong_to_it_by_a_pattern_of_names():
    sealed("a/index.js", "a/1.js", "a/0.js", "a/0.txt", "b/2.js")
    os.mkdir("a/folder.js")
    assert further_files(["a/index.js"], "*.js") == ["a/0.js", "a/1.js"]
    assert further_files(["a/index.js", "a/0.js"], "*.js") == ["a/1.js"]
    assert further_files(["a/index.js"], "") == []


def test_seals_of_an_archive_lie_beside_their_artifacts_and_find_their_inputs_below_its_folder():
    for output, inputs in (
        ("tables/a.csv", {"/home/me/results/study/scores/b.parquet": "1", "/home/me/data/c.csv": "2"}),
        ("scores/b.parquet", {}),
    ):
        sealed(f"archive/seals/{output}")
        write_seal([f"archive/seals/{output}"], IDENTITY, inputs, {})
    scores, table = packed_seals("archive")
    assert [scores.path, table.path] == [
        Path("archive/scores/b.parquet.seal.json"),
        Path("archive/tables/a.csv.seal.json"),
    ]
    assert list(table.files()) == [Path("archive/tables/a.csv")]
    assert table.inputs == {"archive/scores/b.parquet": "1", "/home/me/data/c.csv": "2"}


def test_a_seal_covers_the_files_that_it_lists_and_no_other():
    sealed("z.txt", "part.txt")
    sealed("b.txt")
    os.rename("b.txt.seal.json", "c.txt.seal.json")
    with open("c.txt", "w") as file:
        file.write("c")
    assert str(seal_of("part.txt").path) == "z.txt.seal.json"
    assert str(seal_of("b.txt").path) == "c.txt.seal.json"
    assert seal_of("c.txt") is None, "the seal beside it is of another file"
    assert seal_of("no folder/c.txt") is None
    with open("a.txt.seal.json", "w") as file:
        file.write("{")
    assert str(seal_of("part.txt").path) == "z.txt.seal.json", "a seal that cannot be read is passed over"


def test_the_seal_beside_a_file_comes_before_others_that_list_it():
    sealed("b.txt")
    shutil.copy("b.txt.seal.json", "a.txt.seal.json")
    assert str(seal_of("b.txt").path) == "b.txt.seal.json"


def test_a_file_is_given_with_its_checksum_and_its_seal():
    seal = sealed("a.txt")
    assert checked_sum("a.txt") == (SHA_A, seal)
    os.remove("a.txt.seal.json")
    assert checked_sum("a.txt") == (SHA_A, None)


def test_a_file_that_is_gone_or_altered_is_refused_with_the_name_of_its_seal():
    sealed("a.txt", "b.txt")
    os.remove("b.txt")
    with pytest.raises(InputError, match=r"^b\.txt: no such file; a\.txt\.seal\.json knows it$"):
        check_seal("b.txt")
    with pytest.raises(InputError, match=r"^none\.txt: no such file$"):
        check_seal("none.txt")
    with open("a.txt", "w") as file:
        file.write("")
    with pytest.raises(InputError, match=r"sha256 e3b0c44298fc…; a\.txt\.seal\.json says ca978112ca1b…"):
        check_seal("a.txt")


def test_seals_below_a_folder_come_in_the_order_of_their_paths():
    for name in ("b/2.txt", "a/1.txt", "b/1.txt"):
        sealed(name)
    with open("a/broken.txt.seal.json", "w") as file:
        file.write("[]")
    assert [str(seal.path) for seal in seals_below(".")] == [
        f"{n}.seal.json" for n in ("a/1.txt", "b/1.txt", "b/2.txt")
    ]


def test_differences_name_module_spec_and_settings():
    planned = Identity("posologie.mixes", "c0de", {"mix": "NAT", "a": [1, {"b": 2}]}, {"size": 4})
    assert spec_differences(IDENTITY, planned) == [
        "spec: a[1].b 2, sealed null",
        'spec: mix "NAT", sealed "été"',
        "setting: size 4, sealed 3",
    ]
    other = Identity("posologie.training", "c0de", planned.spec, {})
    assert spec_differences(IDENTITY, other) == ["made by posologie.training, sealed posologie.mixes"]
    assert spec_differences(IDENTITY, IDENTITY) == []
    identity = Identity("posologie.mixes", "c0de", IDENTITY.spec, {"size": 3, "unit": {"é": 1}})
    assert spec_differences(IDENTITY, identity) == ['setting: unit {"é": 1}, not sealed']
    assert spec_differences(identity, IDENTITY) == ['setting: unit not set, sealed {"é": 1}']
    assert spec_differences(Identity("m", "c", 1), Identity("m", "c", None)) == ["spec: whole null, sealed 1"]
    deep = [Identity("m", "c", {"z": value}) for value in ({"b": 1, "a": 2}, [1, 2])]
    assert spec_differences(*deep) == ['spec: z [1, 2], sealed {"a": 2, "b": 1}'], "keys in order"
    numbers = [Identity("m", "c", {1: "x", "k": value}) for value in (1, 2)]
    assert spec_differences(*numbers) == ["spec: k 2, sealed 1"], "keys need not be texts"


@pytest.mark.parametrize(("length", "shown"), [(58, "x" * 58), (59, "x" * 56 + "…")])
def test_long_values_are_cut_to_60_characters_or_less(length, shown):
    text = spec_differences(Identity("m", "c", None), Identity("m", "c", "x" * length))[0]
    assert text == f'spec: whole "{shown}{"" if "…" in shown else chr(34)}, sealed null'


@pytest.mark.parametrize(("number", "end"), [(2, "b"), (3, "c"), (4, "c; and 1 more"), (5, "c; and 2 more")])
def test_three_differences_are_said_and_the_others_counted(number, end):
    assert in_one_line("abcde"[:number]) == "; ".join("abc"[: min(number, 3) - 1]) + f"; {end}"


def test_checksums_are_remembered_in_a_folder_of_their_own_and_written_only_where_they_are_new():
    with open("a.txt", "w") as file:
        file.write("a")
    hashes = FileHashes("new/folder/hashes.json")
    hashes.keep()
    assert not os.path.exists("new")
    assert hashes.of("a.txt") == SHA_A
    hashes.keep()
    assert os.listdir("new/folder") == ["hashes.json"]
    os.remove("new/folder/hashes.json")
    hashes.keep()
    assert os.listdir("new/folder") == [], "nothing new"
    hashes.remember("b.txt", "known", [1, 2, 3, 4])
    hashes.keep()
    assert set(FileHashes("new/folder/hashes.json").checksums) == {"a.txt", "b.txt"}


def test_where_checksums_cannot_be_written_they_are_computed_again():
    with open("a.txt", "w") as file:
        file.write("a")
    hashes = FileHashes("a.txt/hashes.json")
    assert hashes.of("a.txt") == SHA_A
    hashes.keep()
    assert FileHashes("a.txt/hashes.json").of("a.txt") == SHA_A


def test_a_file_that_is_written_while_it_is_hashed_is_hashed_again(monkeypatch):
    with open("a.txt", "w") as file:
        file.write("a")

    def while_it_is_written(path):
        with open(path, "a") as file:
            file.write("b")
        return "of another content"

    hashes = FileHashes("hashes.json")
    with monkeypatch.context() as patch:
        patch.setattr("posologie.running.seals.sha256_of_file", while_it_is_written)
        assert hashes.of("a.txt") == "of another content"
    assert hashes.of("a.txt") == "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"


def test_the_files_of_an_artifact_are_remembered_with_the_sealed_checksums(monkeypatch):
    seal = sealed("a.txt", "b.txt")
    when = os.stat(seal.path).st_mtime_ns
    os.utime("a.txt", ns=(when, when))
    os.chmod("b.txt", 0o640)  # a later time of the inode, and the same content
    hashes, looks = FileHashes("hashes.json"), []

    def look(path):
        looks.append(str(path))
        return mark_of(path)

    monkeypatch.setattr("posologie.running.seals.mark_of", look)
    hashes.remember_sealed(seal)
    assert sorted(looks) == ["a.txt", "b.txt"], "the mark that is compared is the one that is remembered"
    monkeypatch.setattr("posologie.running.seals.sha256_of_file", lambda path: "hashed again")
    assert [hashes.of(path) for path in ("a.txt", "b.txt")] == [SHA_A, SHA_A]


def test_files_from_the_start_of_the_job_to_its_seal_are_remembered_and_no_others():
    start = 1577836800 * 10**9
    seal = sealed("early.txt", "first.txt", "last.txt", "late.txt", started="2020-01-01T00:00:00+00:00")
    os.utime(seal.path, ns=(0, start + 10**9))
    for name, moment in (("early", -1000), ("first", 0), ("last", 10**9), ("late", 10**9 + 1)):
        os.utime(f"{name}.txt", ns=(0, start + moment))
    hashes = FileHashes("memory")
    hashes.remember_sealed(seal)
    assert set(hashes.checksums) == {"first.txt", "last.txt"}


def test_a_seal_whose_start_is_no_time_is_passed_over():
    hashes = FileHashes("memory")
    hashes.remember_sealed(sealed("a.txt", started="yesterday"))
    assert hashes.checksums == {}


def test_files_that_are_gone_when_they_are_to_be_remembered_are_passed_over():
    seal = sealed("a.txt")
    os.remove("a.txt")
    hashes = FileHashes("hashes.json")
    hashes.remember_sealed(seal)
    assert hashes.checksums == {}


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("posologie.judging.causal", "posologie.judging.command+posologie.backends.causal"),
        (
            "posologie.generation.translation.seq2seq",
            "posologie.generation.translation+posologie.backends.seq2seq",
        ),
        (
            "posologie.generation.synthesis.command+posologie.backends.causal",
            "posologie.generation.synthesis+posologie.backends.causal",
        ),
        ("posologie.screening.rating.causal", "posologie.screening.rating+posologie.backends.causal"),
        ("posologie.generation.translation_quality.table", "posologie.generation.translation_quality_table"),
        ("posologie.prediction.engine", "posologie.prediction.served+posologie.backends.engine"),
        ("posologie.judging.outside", "posologie.judging.outside"),
        ("posologie.training", "posologie.training"),
    ],
)
def test_seals_of_earlier_versions_name_the_code_as_it_is_called_now(tmp_path, former, now):
    (tmp_path / "a").write_text("x")
    write_seal([tmp_path / "a"], Identity(former, "code", {}), {}, {})
    assert read_seal(tmp_path / "a.seal.json").identity.module == now
