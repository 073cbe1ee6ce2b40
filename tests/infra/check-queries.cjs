// Compiles Kusto queries with Microsoft's own language service, against the tables of Application Insights that they read.
// Standard input: {"<name>": "<query>"}. Standard output: {"<name>": {"diagnostics": [...], "columns": {"<column>": "<type>"}}}.
"use strict";

require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
const { GlobalState, KustoCode, Symbols } = global.Kusto.Language;

const COMMON =
  "timestamp: datetime, itemType: string, customDimensions: dynamic, customMeasurements: dynamic, operation_Name: string, " +
  "operation_Id: string, operation_ParentId: string, cloud_RoleName: string, cloud_RoleInstance: string, itemId: string, itemCount: int";
const TABLES = {
  traces: `(${COMMON}, message: string, severityLevel: int)`,
  requests: `(${COMMON}, id: string, source: string, name: string, url: string, success: string, resultCode: string, duration: real)`,
};

const tables = Object.entries(TABLES).map(([name, schema]) => Symbols.TableSymbol.From(schema).WithName(name));
const database = new Symbols.DatabaseSymbol.$ctor3("database", null, tables, false);
const globals = GlobalState.Default.WithDatabase(database);

const list = (items) => Array.from({ length: items.Count }, (_, index) => items.getItem(index));

function compile(query) {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  const result = code.ResultType;
  return {
    diagnostics: list(code.GetDiagnostics()).map((each) => `${each.Code}: ${each.Message}`),
    columns: result && result.Columns ? Object.fromEntries(list(result.Columns).map((each) => [each.Name, each.Type.Name])) : {},
  };
}

const queries = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const compiled = Object.fromEntries(Object.entries(queries).map(([name, query]) => [name, compile(query)]));
process.stdout.write(JSON.stringify(compiled));
