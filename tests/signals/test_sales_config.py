"""What `[[sales]]` may say, what it may not, and that no secret is ever shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from signals.connector import ConfigError
from signals.sales_config import SalesSource, address, load_sales_sources, shown

PG = 'database = "postgresql+psycopg://erp@db/sales"\nquery = "SELECT 1"'


def load(home: Path, text: str):
    (home / "groundswell.toml").write_text(text)
    return load_sales_sources(home)


def one(home: Path, body: str, name: str = "erp"):
    return load(home, f'port = 1\n[[sales]]\nname = "{name}"\n{body}\n')[0]


def test_a_table_is_read_with_its_options(tmp_path: Path) -> None:
    source = one(tmp_path, 'folder = "in"\nevery = "6 hours"\ncategory = "group"\ndayfirst = true\nlag_days = 2')
    assert (source.kind, source.every, source.pattern) == ("folder", timedelta(hours=6), "*.csv")
    assert source.options["category"] == "group"
    assert (source.options["dayfirst"], source.options["lag_days"]) == (True, 2)


def test_without_a_file_or_table_there_is_no_source(tmp_path: Path) -> None:
    assert load_sales_sources(tmp_path) == []
    assert load(tmp_path, "port = 1\n") == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "source is 'missing'"),
        ('folder = "in"\nurl = "http://x/a.csv"', "source is 'folder and url'"),
        ('folder = "in"\nevery = "often"', "every is 'often'"),
        ('folder = "in"\nevery = 5', "every is 5"),
        ('folder = "in"\npatern = "*"', "did you mean pattern?"),
        ('folder = "in"\npattern = "../*"', "pattern is '../*'"),
        ('folder = "in"\nquery = "SELECT 1"', "query only with database"),
        ('folder = "in"\ngaps = "none"', "'missing' or 'zero'"),
        ('folder = "in"\nlag_days = true', "lag_days is True"),
        ('url = "ftp://x/a.csv"', "url is 'ftp://x/a.csv'"),
        ('database = "sqlite:////a.db"', "query is 'missing'"),
        (PG + '\npassword_variable = "A"\npassword_file = "B"', "not both"),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(body: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        one(tmp_path, body)
    assert said in str(refused.value)
    assert "[[sales]] 1 'erp'" in str(refused.value)


def test_names_are_unique_and_plain(tmp_path: Path) -> None:
    table = '[[sales]]\nname = "a"\nfolder = "x"\n'
    with pytest.raises(ConfigError, match="no other source has"):
        load(tmp_path, table + table)
    with pytest.raises(ConfigError, match=r"name is '\.\./a'"):
        one(tmp_path, 'folder = "x"', name="../a")


@pytest.mark.parametrize("text", ["sales = 5\n", "[sales]\nname = 'a'\n", "[[sales]\n"])
def test_a_file_of_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, text)


@pytest.mark.parametrize(
    "body",
    [
        'url = "https://x.example/a.csv?sv=1&sig=S3CRET"',
        'url = "https://x.example/a.csv?X-Amz-Signature=S3CRET"',
        'url = "https://me:S3CRET@x.example/a.csv"',
        'url = "https://S3CRET@x.example/a.csv"',
        'database = "postgresql://me:S3CRET@db/x"\nquery = "SELECT 1"',
        'database = "mssql+pyodbc:///?odbc_connect=PWD%3DS3CRET"\nquery = "SELECT 1"',
        'folder = "in"\npassword = "S3CRET"',
        'url = "ftp://me:S3CRET@x/a"',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(body: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        one(tmp_path, body)
    assert "S3CRET" not in str(refused.value)


def test_an_address_comes_from_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES_URL", "https://x.example/a.csv?sig=S3CRET")
    found = address(one(tmp_path, 'url_variable = "SALES_URL"'), tmp_path)
    assert found.text.endswith("sig=S3CRET")
    assert "S3CRET" not in found.hide(f"bad: {found.text}, S3CRET")
    monkeypatch.setenv("SALES_URL", "https://x.example/S3CRET/a.csv")
    found = address(one(tmp_path, 'url_variable = "SALES_URL"'), tmp_path)
    assert found.hide(found.text) == "https://x.example/***"
    (tmp_path / "db").write_text("postgresql://me:S3C/RET@db/x\n")
    found = address(one(tmp_path, 'database_file = "db"\nquery = "SELECT 1"'), tmp_path)
    assert "S3C/RET" not in found.hide(found.text)


def test_a_password_is_put_into_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERP_PASSWORD", "p@ss/w:rd")
    found = address(one(tmp_path, PG + '\npassword_variable = "ERP_PASSWORD"'), tmp_path)
    assert found.text == "postgresql+psycopg://erp:p%40ss%2Fw%3Ard@db/sales"
    assert found.hide("p@ss/w:rd p%40ss%2Fw%3Ard") == "*** ***"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('url_variable = "NOT_SET"', "url_variable is 'NOT_SET'"),
        ('url_file = "absent"', "url_file is 'absent'"),
        ('url_file = "empty"', "not empty"),
        ('url_file = "other"', r"begins with http"),
        ('database = "postgresql://db/x"\nquery = "SELECT 1"\npassword_file = "other"', "user@host"),
    ],
)
def test_a_secret_that_is_missing_or_useless_is_told(body: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "other").write_text("S3CRET")
    with pytest.raises(ConfigError, match=said) as refused:
        address(one(tmp_path, body), tmp_path)
    assert "S3CRET" not in str(refused.value)


def test_the_place_for_people_has_no_secret(tmp_path: Path) -> None:
    assert one(tmp_path, 'folder = "in"').place == "in/*.csv"
    assert one(tmp_path, 'url_variable = "A"').place == "url_variable A"
    assert one(tmp_path, PG).place == "postgresql+psycopg://erp@db/sales"
    assert shown("https://me:pw@x/a.csv?sig=1") == "https://me:***@x/a.csv?***"
    assert shown("https://token@x/a.csv#b") == "https://***@x/a.csv#***"
    assert shown("https://x:8080/a@b.csv") == "https://x:8080/a@b.csv"


@pytest.mark.parametrize("name", SalesSource.model_fields)
def test_each_setting_has_its_row(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "sales.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert [row.rsplit(" | ", 1)[1] for row in rows] == [f"{SalesSource.model_fields[name].description} |"]


def test_the_example_of_the_docs_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "sales.md").read_text(encoding="utf-8")
    sources = load(tmp_path, page.split("```toml\n")[1].split("```")[0])
    assert [source.kind for source in sources] == ["folder", "url", "database", "database"]
