// One client from npm against a service: `node clients.cjs CLIENT ROOT [GENERATED]`; prints what it read, as JSON.
"use strict";
const path = require("node:path");

async function odataClient(root) {
  const { OData } = require("@odata/client");
  const client = OData.New4({ serviceEndpoint: root + "/" });
  const forecasts = client.getEntitySet("Forecasts");
  const latest = client.newFilter().property("Category").eq("Boots").property("IsLatest").eq(true);
  const options = client.newOptions().filter(latest).orderby("Period", "desc").top(3);
  const rows = await forecasts.query(options);
  return {
    latest: rows.map((row) => [row.Period, row.ForecastedQuantity]),
    count: await forecasts.count(client.newFilter().property("Category").eq("Boots")),
    one: (await forecasts.retrieve(rows[0].Id)).Id === rows[0].Id,
  };
}

async function sap(root, generated) {
  const { desc } = require("@sap-cloud-sdk/odata-v4");
  const { groundswell } = require(path.join(generated, "groundswell"));
  const { forecastsApi } = groundswell();
  const { CATEGORY, IS_LATEST, PERIOD, CONTRIBUTIONS, RUN } = forecastsApi.schema;
  const address = new URL(root);
  const destination = { url: address.origin };
  const all = () => forecastsApi.requestBuilder().getAll().setBasePath(address.pathname);
  const boots = CATEGORY.equals("Boots");
  const rows = await all()
    .filter(boots, IS_LATEST.equals(true))
    .orderBy(desc(PERIOD))
    .top(3)
    .expand(CONTRIBUTIONS, RUN)
    .execute(destination);
  const one = await forecastsApi.requestBuilder().getByKey(rows[0].id).setBasePath(address.pathname).execute(destination);
  return {
    latest: rows.map((row) => [row.period.format("YYYY-MM-DD"), row.forecastedQuantity.toNumber()]),
    drivers: rows.map((row) => row.contributions.map((part) => part.driver)),
    run: rows.every((row) => row.run.id === row.runId),
    count: await all().filter(boots).count().setBasePath(address.pathname).execute(destination),
    one: one.id === rows[0].id,
  };
}

const [client, root, generated] = process.argv.slice(2);
({ "@odata/client": odataClient, sap })[client](root, generated).then(
  (read) => console.log(JSON.stringify(read)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
