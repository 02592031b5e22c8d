"""Two studies side by side in a real browser: on any screen, and with links that lead to the item in either report."""

import shutil

import pyarrow as pa
import pytest

from posologie.cli.commands import main
from posologie.records.files import read_parquet, write_parquet


@pytest.fixture(scope="module")
def two(small_page, tmp_path_factory):
    """The page on the small study and a copy of it in which NAT answers a few questions otherwise."""
    folder = tmp_path_factory.mktemp("compared")
    studies = [shutil.copytree(small_page.path.parents[1], folder / "results" / name) for name in ("before", "after")]
    file = studies[1] / "predictions" / "tiny" / "NAT" / "seed-42" / "mcqa.parquet"
    table = read_parquet(file)
    rows = table.to_pylist()
    for row in [row for row in rows if row["variant"] == "original"][:3]:
        row["constrained_labels"] = [(row["constrained_labels"][0] + 1) % 5]
    write_parquet(file, pa.Table.from_pylist(rows, table.schema))
    page = folder / "pages" / "two.html"
    main(["compare", *map(str, studies), "--html", str(page), "--most", "1"])
    return type(small_page)(small_page.driver, page)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_on_two_studies_fits_the_screen_and_needs_nothing(two, width):
    page = two.open(width=width)
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.complaints() == []
    assert {url.split(":")[0] for url in page.requests()} <= {"file", "data", "about"}
    assert page.run("return document.querySelectorAll('main b, main img, main script').length") == 0


def test_a_changed_item_leads_to_the_item_in_either_report(two):
    page = two.open()
    row = page.find_all("#table-items tbody tr")[0]
    item = row.find_element("css selector", "th").text
    links = [link.get_attribute("href") for link in row.find_elements("css selector", "a")]
    assert ["before" in links[0], "after" in links[1]] == [True, True]
    for link in links:
        page.driver.get(link)
        page.wait(f"return document.querySelector('.item').dataset.item === '{item}'")
