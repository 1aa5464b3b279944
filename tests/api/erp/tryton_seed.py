"""Fill a new Tryton database with a company, two products and their monthly sales; runs in Tryton's own environment.

    python tryton_seed.py DATABASE CONFIG KEY_FILE

The key of a REST application goes into KEY_FILE. Sales are simulated: a level, a trend and a season for each product,
one delivery on the 11th of each of the 30 months before this one, and one return.
"""

import datetime as dt
import math
import sys
from decimal import Decimal
from pathlib import Path

from dateutil.relativedelta import relativedelta
from proteus import Model, config

MONTHS = 30
PRODUCTS = (("SKU-1", "Widget", 60, 1), ("SKU-2", "Gadget", 200, -2))


def main(database: str, file: str, key: Path) -> None:
    cfg = config.set_trytond(f"sqlite:///{database}", user="admin", config_file=file)
    company = found_company(cfg)
    unit = Model.get("product.uom").find([("name", "=", "Unit")])[0]
    for code, name, level, trend in PRODUCTS:
        sell(company, unit, make_product(code, name, unit), level, trend)
    application = Model.get("res.user.application")(user=Model.get("res.user")(cfg.user), application="rest")
    application.save()
    key.write_text(application.key)


def found_company(cfg):
    currency = Model.get("currency.currency")(name="Euro", code="EUR", numeric_code="978", symbol="E")
    currency.save()
    party = Model.get("party.party")(name="Acme")
    party.save()
    Company, User = Model.get("company.company"), Model.get("res.user")
    company = Company(party=party, currency=currency)
    company.save()
    user = User(cfg.user)
    user.companies.append(Company(company.id))
    user.company = Company(company.id)
    held = {group.id for group in user.groups}
    for group in Model.get("res.group").find([]):
        if group.id not in held:
            user.groups.append(group)
    user.save()
    cfg._context = User.get_preferences(True, cfg.context)
    return company


def make_product(code, name, unit):
    template = Model.get("product.template")(name=name, default_uom=unit, type="goods", list_price=Decimal(10))
    template.code = code
    template.save()
    return template.products[0]


def sell(company, unit, product, level, trend):
    Location, first = Model.get("stock.location"), dt.date.today().replace(day=1) - relativedelta(months=MONTHS)
    supplier, customer = (Location.find([("code", "=", code)])[0] for code in ("SUP", "CUS"))
    for month in range(MONTHS):
        day = first + relativedelta(months=month, days=10)
        quantity = round(level + trend * month + 0.2 * level * math.sin(day.month * math.pi / 6))
        move(company, unit, product, supplier, customer, quantity, day)
    move(company, unit, product, customer, supplier, 5, first + relativedelta(months=3, days=20))


def move(company, unit, product, origin, goal, quantity, day):
    made = Model.get("stock.move")(product=product, from_location=origin, to_location=goal, quantity=float(quantity))
    made.unit, made.effective_date, made.planned_date, made.company = unit, day, day, company
    made.save()
    made.click("do")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
