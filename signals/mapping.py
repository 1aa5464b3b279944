"""Which column of a table holds what: named by the user, else guessed from its name, else from what it holds."""

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from signals.dates import is_date
from signals.numbers import is_blank, is_number
from signals.tables import Table, encode

_SAMPLE = 2000
CONSTANT = "="  # "=Shoes" in place of a column: every row belongs to Shoes


@dataclass(frozen=True)
class Field:
    """Something a table must or may hold, and the names that such columns have, the surest first."""

    name: str
    option: str
    names: tuple[str, ...]  # each a comma-separated list, of one rank
    kind: str = "text"  # what its column holds: date, number, text
    required: bool = True

    @cached_property
    def ranks(self) -> list[set[str]]:
        return [{plain(name) for name in names.split(",")} for names in self.names]


CATEGORY = Field(
    "category",
    "--category",
    (
        "category,categories,product category,item category,category name,product group,item group,commodity group,"
        "kategorie,warengruppe,produktgruppe,artikelgruppe,produktkategorie,categorie,famille,famille de produits,"
        "groupe de produits,categoria,categoría,familia,grupo de productos,grupo de produtos,gruppo merceologico,"
        "productgroep,artikelgroep,kategori,varegruppe,varugrupp,kategoria,grupa,unique id",
        "department,segment,product line,family,group,class,series,rayon,gamme,reparto,sortiment,line",
        "product,item,sku,article,artikel,produkt,produit,producto,prodotto,product name,item name,material",
    ),
)
DATE = Field(
    "date",
    "--date",
    (
        "date,ds,datum,fecha,data,dato,päivä,datetime,timestamp",
        "week,month,quarter,day,period,time,woche,monat,quartal,tag,periode,zeitraum,semaine,mois,jour,trimestre,"
        "semana,mes,dia,día,periodo,período,settimana,mese,giorno,maand,dag,vecka,månad,uge,måned,tydzień,miesiąc,"
        "week ending,week end,week beginning,week start,week of,week commencing,order date,posting date,"
        "invoice date,transaction date,sales date,sale date,buchungsdatum,rechnungsdatum,kalenderwoche,kw",
    ),
    kind="date",
)
QUANTITY = Field(
    "quantity",
    "--quantity",
    (
        "quantity,qty,units,units sold,unit sales,quantity sold,sold,sold units,pieces,pcs,y,menge,anzahl,stück,"
        "absatz,absatzmenge,stückzahl,quantité,quantités,qté,unités,cantidad,unidades,quantità,pezzi,aantal,stuks,"
        "quantidade,antal,antall,ilość,kpl",
        "sales,demand,volume,sale,vente,ventes,ventas,vendite,vendas,verkäufe,verkauf,verkoop,sprzedaż,salg",
        "value,amount,revenue,turnover,umsatz,betrag,chiffre d'affaires,importe,fatturato,omzet,omsætning,omsättning",
    ),
    kind="number",
)
KNOWN_AT = Field(
    "known_at",
    "--known-at",
    (
        "known at,known,known on,known since",
        "published,published at,published on,publication date,release date,released,released at,vintage,vintage date,"
        "as of,realtime start",
    ),
    kind="date",
    required=False,
)
SIGNAL = Field(
    "signal",
    "--signal",
    (
        "signal,signals,signal name,unique id",
        "series,series id,indicator,variable,metric,keyword,term,topic,reihe,indikator,indicateur,indicador,indicatore",
        "name",
    ),
)
VALUE = Field(
    "value",
    "--value",
    ("value,y,wert,valeur,valor,valore,waarde,värde,værdi,wartość", "index,level,score,hits,count,obs value"),
    kind="number",
)


def plain(name: str) -> str:
    """A name in lower case, without accents, with single spaces for everything but letters and digits."""
    flat = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]+", " ", "".join(c for c in flat if not unicodedata.combining(c))).strip()


class Mapper:
    """Assigns the columns of one table to fields, each column at most once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.chosen: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    @property
    def free(self) -> list[str]:
        """The columns that no field has yet."""
        return [column for column in self.table.columns if column not in self.chosen.values()]

    def assign(self, given: Mapping[Field, str | None]) -> None:
        """Find the column of each field: first those that were named, then the others in their order."""
        for field, name in given.items():
            if name is not None:
                self.take(field, name)
        for field, name in given.items():
            if name is None:
                self.guess(field)

    def take(self, field: Field, name: str) -> None:
        """Use the column that the user named (or the constant, `=Name`); refused where there is none."""
        if name.startswith(CONSTANT) and field.name in ("category", "signal"):
            if not name[1:].strip():
                raise self._refusal(field, "'=' is followed by no name", f"Write {field.option} '=Name'", name)
            self.chosen[field.name] = name
            return
        column = self._find(name)
        if column is None:
            near = difflib.get_close_matches(plain(name), [plain(c) for c in self.table.columns], 1, cutoff=0.6)
            like = next((c for c in self.table.columns if near and plain(c) == near[0]), None)
            hint = f"Did you mean {like!r}? " if like else ""
            raise self._refusal(
                field, f"there is no column {name!r}", f"{hint}The columns are: {', '.join(self.table.columns)}", name
            )
        taken = next((other for other, used in self.chosen.items() if used == column), None)
        if taken:
            raise self._refusal(field, f"column {column!r} is already the {taken}", "Name another column", column)
        self.chosen[field.name] = column

    def guess(self, field: Field) -> None:
        """Find a column by name, then by content; refused if a required one cannot be told."""
        found = self._named(field) or (self._holding(field) if field.required else [])
        if len(found) == 1:
            self.chosen[field.name] = found[0]
        elif found:
            raise self._refusal(
                field, f"several columns could be the {field.name}: {', '.join(found)}",
                f"Say which with {field.option}, for instance {field.option} {found[0]!r}", found[0],
            )  # fmt: skip
        elif field.required:
            raise self._refusal(field, f"no column looks like the {field.name}", self._missing(field), None)

    def by_name(self, field: Field) -> str | None:
        """The column that bears the name of an optional field, if there is exactly one."""
        found = self._named(field)
        return found[0] if len(found) == 1 else None

    def kind(self, column: str) -> str:
        """What most of a column's first values are: date, number, text, blank, or other for what cannot be read."""
        if column not in self._kinds:
            self._kinds[column] = self._look(column)
        return self._kinds[column]

    def _find(self, name: str) -> str | None:
        if name in self.table.columns:
            return name
        alike = [column for column in self.table.columns if plain(column) == plain(name)]
        return alike[0] if len(alike) == 1 else None

    def _named(self, field: Field) -> list[str]:
        names = {column: plain(column) for column in self.free}
        for rank in field.ranks:
            found = [column for column, name in names.items() if name in rank]
            if found:
                return self._narrow(found, field)
        for rank in field.ranks:
            found = [column for column, name in names.items() if rank & set(name.split())]
            found = [column for column in found if self.kind(column) == field.kind]
            if found:
                return found
        return []

    def _narrow(self, found: list[str], field: Field) -> list[str]:
        """Of several columns with a fitting name, those that also hold what they should."""
        if len(found) == 1 or field.kind == "text":
            return found
        return [column for column in found if self.kind(column) == field.kind] or found

    def _holding(self, field: Field) -> list[str]:
        return [column for column in self.free if self.kind(column) == field.kind]

    def _look(self, column: str) -> str:
        kind = self.table.data.schema.field(column).type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return "date"
        if not self.table.readable(column):
            return "other"
        values = encode(self.table.data[column].slice(0, _SAMPLE)).values
        filled = values.filter(pa.array(~is_blank(values)))
        if not len(filled):
            return "blank"
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return "number"
        return _kind_of_texts(filled)

    def _missing(self, field: Field) -> str:
        columns = f"Name it with {field.option}; the columns are: {', '.join(self.table.columns)}"
        if field.name in ("category", "signal"):
            return f"{columns}. For a file of one {field.name} give its name: {field.option} '=Name'"
        return columns

    def _refusal(self, field: Field, problem: str, remedy: str, value: str | None) -> Exception:
        return self.table.refusal(f"{field.name}: {problem}", remedy=remedy, value=value)


def _kind_of_texts(values: pa.StringArray) -> str:
    numbers = is_number(values)
    texts = values.to_pylist()
    if all(len(text) in (6, 8) and text.isdigit() for text in texts):
        # 202507 and 20250706 are dates where every value is one; a single quantity may look like that.
        return "date" if is_date(values).all() else "number"
    # 31.12.2025 consists of the characters of a number, but has two dots.
    if numbers.mean() > 0.5 and not any(text.count(".") == 2 for text in texts):
        return "number"
    if is_date(values).mean() > 0.5:
        return "date"
    return "number" if numbers.mean() > 0.5 else "text"
