// Shows /openapi.json. Whatever the document says is written as text, never as markup.
"use strict";

/** The document, for references into it. */
let api;

/** An element with attributes and children; a string among them becomes text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Paragraphs, with `code` where the text has back quotes. */
function prose(text) {
  return (text ?? "").split("\n\n").filter(Boolean).map((paragraph) =>
    element("p", {}, paragraph.split("`").map((part, index) =>
      index % 2 ? element("code", {}, part) : part)));
}

function resolve(value) {
  let found = value ?? {};
  while (found.$ref) {
    const steps = found.$ref.slice(2).split("/");
    found = steps.reduce((at, step) => at[step.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  return found;
}

function nameOf(schema) {
  return schema?.$ref?.split("/").pop();
}

/** What a schema admits, in a few words. */
function kind(schema) {
  const it = resolve(schema);
  if (it.const !== undefined) return JSON.stringify(it.const);
  if (it.enum) return it.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (it.anyOf) return it.anyOf.map((one) => nameOf(one) ?? kind(one)).join(" or ");
  if (it.type === "array") return `list of ${nameOf(it.items) ?? kind(it.items)}`;
  const types = [it.type ?? "any"].flat().join(" or ");
  return it.format ? `${types}, ${it.format}` : types;
}

function bounds(schema) {
  const it = resolve(schema);
  const words = {
    minLength: "at least", maxLength: "at most", minimum: "from", maximum: "up to",
    default: "if absent", pattern: "matching",
  };
  const units = { minLength: " characters", maxLength: " characters" };
  return Object.entries(words).filter(([key]) => it[key] !== undefined)
    .map(([key, word]) => `${word} ${it[key]}${units[key] ?? ""}`).join(", ");
}

/** The fields of a schema, those of its parts too. */
function fieldsOf(schema) {
  const it = resolve(schema);
  const own = Object.entries(it.properties ?? {}).map(([name, field]) =>
    ({ name, field, required: (it.required ?? []).includes(name) }));
  const parts = (it.allOf ?? []).flatMap(fieldsOf);
  const told = new Map();
  for (const field of [...parts, ...own]) {
    const before = told.get(field.name);
    const required = field.required || Boolean(before?.required);
    told.set(field.name, { ...before, ...field, required });
  }
  return [...told.values()];
}

function table(heads, rows) {
  if (rows.length === 0) return null;
  const cells = (name, values) =>
    element("tr", {}, values.map((value) => element(name, {}, ...[value].flat())));
  return element("table", {},
    element("thead", {}, cells("th", heads)),
    element("tbody", {}, rows.map((row) => cells("td", row))));
}

function schemaTable(schema) {
  const rows = fieldsOf(schema).map(({ name, field, required }) => [
    element("code", {}, name),
    [nameOf(field) ? link(nameOf(field)) : kind(field), required ? "" : element("span", { class: "soft" }, " optional")],
    prose([resolve(field).description, bounds(field)].filter(Boolean).join(" ")),
  ]);
  return table(["field", "type", "meaning"], rows);
}

function link(name) {
  return element("a", { href: `#schema-${name}` }, name);
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function examplesOf(content) {
  return Object.values(content.examples ?? {}).map((example) =>
    element("div", {}, element("p", { class: "soft" }, example.summary ?? "For example"),
      element("pre", {}, pretty(example.value))));
}

function contents(content) {
  return Object.entries(content ?? {}).flatMap(([type, it]) => [
    element("p", {}, element("code", {}, type), nameOf(it.schema) ? ": " : "",
      nameOf(it.schema) ? link(nameOf(it.schema)) : "",
      it.schema?.anyOf ? [": ", it.schema.anyOf.flatMap((one, index) =>
        [index ? " or " : "", nameOf(one) ? link(nameOf(one)) : kind(one)])].flat() : ""),
    ...examplesOf(it),
  ]);
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The request as a command line. */
function commandLine(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const exampleOf = (it) => it.example ?? Object.values(it.examples ?? {})[0]?.value ?? "";
  const filled = parameters.filter((it) => it.in === "path")
    .reduce((at, it) => at.replace(`{${it.name}}`, exampleOf(it)), path);
  const words = ["curl -sS " + quoted(location.origin + filled)];
  if (method !== "get") words.push(`-X ${method.toUpperCase()}`);
  if (operation.security?.length) words.push('-H "Authorization: Bearer $TOKEN"');
  const [type, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (type) {
    words.push(`-H ${quoted(`Content-Type: ${type}`)}`);
    words.push(`-d ${quoted(pretty(Object.values(body.examples ?? {})[0]?.value))}`);
  }
  return element("pre", {}, words.join(" \\\n  "));
}

function response(status, it) {
  const found = resolve(it);
  const headers = Object.entries(found.headers ?? {}).map(([name, header]) => {
    const told = resolve(header);
    return [element("code", {}, name), told.required ? "always" : "sometimes",
      prose(told.description)];
  });
  const first = (found.description ?? "").split("\n\n")[0].replaceAll("`", "");
  return element("details", {},
    element("summary", {},
      element("span", { class: `status s${status[0]}` }, status), " ", first),
    prose(found.description), contents(found.content),
    element("details", {}, element("summary", { class: "soft" }, "Headers"),
      table(["header", "sent", "meaning"], headers)));
}

function operation(method, path, it) {
  const parameters = (it.parameters ?? []).map(resolve).map((one) => [
    element("code", {}, one.name), one.required ? `${one.in}, required` : one.in,
    prose([one.description, bounds(one.schema)].filter(Boolean).join(" ")),
  ]);
  const roles = (it.security ?? []).flatMap((one) => Object.values(one).flat());
  const body = it.requestBody;
  return element("section", { id: it.operationId },
    element("h3", {}, element("span", { class: "method" }, method), " ", element("code", {}, path)),
    element("p", {}, element("strong", {}, it.summary)),
    prose(it.description),
    roles.length ? element("p", { class: "soft" }, `Needs a token: ${roles.join(" or ")}.`) : null,
    commandLine(method, path, it),
    element("details", {}, element("summary", {}, "Parameters"),
      table(["name", "in", "meaning"], parameters)),
    body ? element("details", {}, element("summary", {}, "Body"), prose(body.description),
      Object.values(body.content).map((one) => schemaTable(one.schema)),
      contents(body.content)) : null,
    element("h4", {}, "Answers"),
    Object.entries(it.responses).map(([status, one]) => response(status, one)));
}

function operationsOf(tag) {
  return Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item)
    .filter(([, it]) => it.tags.includes(tag)).map(([method, it]) => [method, path, it]));
}

function schemaSection([name, schema]) {
  return element("section", { id: `schema-${name}` }, element("h3", {}, name),
    prose(schema.description),
    schema.properties || schema.allOf ? schemaTable(schema)
      : element("p", {}, element("code", {}, [kind(schema), bounds(schema)].filter(Boolean).join(", "))));
}

function show() {
  const schemas = Object.entries(api.components.schemas);
  document.querySelector("nav").replaceChildren(
    element("strong", {}, `${api.info.title} ${api.info.version}`),
    ...api.tags.flatMap(({ name }) => [element("h2", {}, name), ...operationsOf(name)
      .map(([, , it]) => element("a", { href: `#${it.operationId}` }, it.summary))]),
    element("h2", {}, "Schemas"),
    ...schemas.map(([name]) => element("a", { href: `#schema-${name}` }, name)));
  document.querySelector("main").replaceChildren(
    element("h1", {}, `${api.info.title} API`), ...prose(api.info.summary),
    ...prose(api.info.description),
    element("p", {}, element("a", { href: "/openapi.json" }, "The OpenAPI document"),
      ", for programs."),
    ...api.tags.flatMap((tag) => [element("h2", {}, tag.name), ...prose(tag.description),
      ...operationsOf(tag.name).map((one) => operation(...one))]),
    element("h2", {}, "Schemas"), ...schemas.map(schemaSection));
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  target?.scrollIntoView();
}

async function start() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  api = await answer.json();
  show();
}

start().catch((error) => {
  document.getElementById("state").textContent = `The document cannot be read: ${error.message}`;
});
