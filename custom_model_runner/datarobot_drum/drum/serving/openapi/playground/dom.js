// Elements. All text is set as text: with trusted types, the browser rejects any markup from data.

const find = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "textContent") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(tag, properties = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

let identifiers = 0;
const newId = (prefix) => `${prefix}-${++identifiers}`;

function labelled(text, control, hint = "") {
  control.id = control.id || newId("field");
  const note = hint ? [" ", element("span", { class: "kind" }, hint)] : [];
  return element("div", { class: "field" }, element("label", { for: control.id }, text, ...note), control);
}

function formatNumber(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en-US");
  const size = Math.abs(value);
  if (size >= 1e9 || size < 1e-4) return value.toExponential(4);
  return value.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}

const isPlain = (value) => value === null || ["string", "number", "boolean"].includes(typeof value);

function formatCell(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return formatNumber(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const formatPercent = (value) =>
  `${(100 * value).toLocaleString("en-US", { maximumFractionDigits: value > 0.001 && value < 0.999 ? 1 : 3 })} %`;

function formatDuration(milliseconds) {
  return milliseconds < 10_000 ? `${Math.max(1, Math.round(milliseconds))} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function formatSize(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}

// Lets the browser draw and react to keys while much is computed.
const nextTurn = () => new Promise((resolve) => setTimeout(resolve));

function saveAs(parts, type, name) {
  const link = element("a", { download: name });
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
