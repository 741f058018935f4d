// One row as a form: a field per column.

const MAX_FIELDS = 60;
const MAX_OPTIONS = 200;
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const KIND_WORDS = { number: "number", text: "text", category: "choice", boolean: "true or false", date: "date", any: "" };

// Each control reads and writes a JSON text, so that a long number keeps its digits.
function columnControl(column, sample) {
  const make = column.categories.length ? choiceControl : column.type === "boolean" ? booleanControl : textControl;
  return make(column, sample);
}

function choiceControl(column) {
  const texts = column.categories.map((value) => JSON.stringify(value));
  if (texts.length > MAX_OPTIONS) return suggestionControl(column);
  const options = column.categories.map((value, position) => element("option", { value: texts[position] }, String(value)));
  const control = element("select", {}, element("option", { value: "null" }, "(empty)"), options);
  const write = (value) => (control.value = texts.includes(JSON.stringify(value)) ? JSON.stringify(value) : "null");
  return { control, read: () => control.value, write };
}

function suggestionControl(column) {
  const list = element("datalist", { id: newId("list") }, column.categories.map((value) => element("option", { value: String(value) })));
  const control = element("input", { list: list.id, autocomplete: "off" });
  const byText = new Map(column.categories.map((value) => [String(value), JSON.stringify(value)]));
  const read = () => (control.value === "" ? "null" : (byText.get(control.value) ?? JSON.stringify(control.value)));
  return { control, extra: list, read, write: (value) => (control.value = value === null ? "" : String(value)) };
}

function booleanControl() {
  const words = [["null", "(empty)"], ["true", "true"], ["false", "false"]];
  const control = element("select", {}, words.map(([value, text]) => element("option", { value }, text)));
  return { control, read: () => control.value, write: (value) => (control.value = typeof value === "boolean" ? String(value) : "null") };
}

function textControl(column, sample) {
  const isLong = typeof sample === "string" && (sample.length > 60 || sample.includes("\n"));
  const control = isLong || column.isPrompt
    ? element("textarea", { rows: "4" })
    : element("input", { type: "text", autocomplete: "off", inputmode: column.type === "number" ? "decimal" : null });
  if (column.type === "date") control.placeholder = "2026-01-31 or 2026-01-31T12:00:00";
  const write = (value) => (control.value = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
  return { control, read: () => readText(control.value, column), write };
}

function readText(text, column) {
  const trimmed = text.trim();
  if (trimmed === "") return "null";
  if (column.type === "number") {
    if (JSON_NUMBER.test(trimmed)) return trimmed;
    const number = Number(trimmed);
    if (Number.isFinite(number)) return JSON.stringify(number);
    throw new Error(`must be a number, such as 12.5`);
  }
  if (column.type === "any" && (JSON_NUMBER.test(trimmed) || trimmed === "true" || trimmed === "false")) return trimmed;
  return JSON.stringify(text);
}

function rowBody(columns, cells, card) {
  const names = new Set(columns.map((column) => column.name));
  if (card.formats.includes("json") && names.size === columns.length) {
    const pairs = columns.map((column, position) => `${JSON.stringify(column.name)}: ${cells[position]}`);
    return { body: `[{${pairs.join(", ")}}]`, contentType: "application/json" };
  }
  const values = cells.map((cell) => {
    const value = JSON.parse(cell);
    return typeof value === "number" ? cell : value;
  });
  return { body: csvLine(columns.map((column) => column.name)) + csvLine(values), contentType: "text/csv" };
}

class RowForm {
  constructor(card) {
    this.card = card;
    this.result = resultCard("Fill in the fields, then predict.");
    this.row = 0;
    this.cells = [];
    this.fields = element("div", { class: "fields" });
    this.more = element("button", { type: "button", class: "quiet", onclick: () => this.render(this.card.columns.length) });
    this.next = element("button", { type: "button", class: "quiet", onclick: () => this.fill(this.row + 1) }, "Next sample row");
    this.submit = element("button", { type: "submit" }, card.targetType === "transform" ? "Transform" : "Predict");
    this.origin = element("p", { class: "hint" });
    this.form = element("form", { class: "card stack", onsubmit: (event) => this.predict(event) },
      this.origin, this.fields, this.more, element("div", { class: "line" }, this.submit, this.next));
    this.panel = element("div", { class: "two" }, this.form, this.result.card);
    this.setColumns(card.columns, card.rows);
  }

  // Takes the columns of the model, or those of a file for a model that does not know its own.
  setColumns(columns, rows, origin = "") {
    this.columns = columns.map((column) => ({ ...column, isPrompt: column.name === this.card.promptColumn }));
    this.rows = rows;
    this.next.hidden = rows.length < 2;
    const from = origin ? `The columns and values are those of ${origin}.` : rows.length ? "The values are those of the model's sample." : "";
    this.origin.textContent = from + (this.card.allColumns > columns.length ? ` Only ${columns.length} of ${this.card.allColumns} columns are shown: send a file instead.` : "");
    if (columns.length) this.render(Math.min(columns.length, MAX_FIELDS));
    else this.renderText();
    this.fill(0);
  }

  render(count) {
    this.text = null;
    const sample = this.rows[0] ?? [];
    const kept = this.controls?.map((item) => item.control.value) ?? [];
    this.controls = this.columns.slice(0, count).map((column, position) => columnControl(column, sample[position]));
    this.fields.replaceChildren(...this.controls.map((item, position) => {
      const column = this.columns[position];
      const kind = [KIND_WORDS[column.type] ?? "", column.required ? "" : "not used"].filter(Boolean).join(", ");
      const field = labelled(column.name, item.control, kind);
      item.note = element("p", { class: "hint", id: newId("note"), hidden: true });
      field.append(item.note);
      if (item.extra) field.append(item.extra);
      return field;
    }));
    this.more.hidden = count >= this.columns.length;
    this.more.textContent = `Show all ${this.columns.length} columns`;
    if (count > kept.length && kept.length) this.fill(this.row);
    kept.forEach((value, position) => (this.controls[position].control.value = value));
  }

  renderText() {
    this.text = element("textarea", { class: "mono", rows: "8", spellcheck: "false", placeholder: "width,height\n2,3" });
    this.controls = null;
    this.more.hidden = true;
    const hint = "This model does not say which columns it needs. A file in the other tab fills in a form here.";
    this.fields.replaceChildren(labelled("Rows as csv, the first line with the names of the columns", this.text), element("p", { class: "hint" }, hint));
  }

  fill(row) {
    if (this.text || !this.rows.length) return;
    this.row = row % this.rows.length;
    this.controls.forEach((item, position) => item.write(this.rows[this.row][position] ?? null));
  }

  // Returns the cells as JSON; null if a field is wrong, which then has the focus.
  read() {
    let first = null;
    const cells = this.columns.map((column, position) => {
      const item = this.controls[position];
      if (!item) return JSON.stringify(this.rows[this.row]?.[position] ?? null);
      let problem = "";
      let cell = "null";
      try {
        cell = item.read();
      } catch (error) {
        problem = `${column.name} ${error.message}.`;
      }
      item.note.textContent = problem;
      item.note.hidden = !problem;
      item.control.toggleAttribute("aria-invalid", Boolean(problem));
      if (problem) {
        item.control.setAttribute("aria-invalid", "true");
        item.control.setAttribute("aria-describedby", item.note.id);
        first = first ?? item.control;
      }
      return cell;
    });
    first?.focus();
    return first ? null : cells;
  }

  async predict(event) {
    event.preventDefault();
    const cells = this.text ? [] : this.read();
    if (cells === null) return;
    const request = this.text ? { body: this.text.value, contentType: "text/csv" } : rowBody(this.columns, cells, this.card);
    this.submit.disabled = true;
    try {
      if (this.card.targetType === "transform") await this.transform(request);
      else if (this.card.onlyStreams) await this.stream(request);
      else await this.request(request);
    } catch (error) {
      this.result.fail(error);
    } finally {
      this.submit.disabled = false;
    }
  }

  async request({ body, contentType }) {
    const { response, elapsed } = await post("/predict/", body, { contentType });
    const rows = predictionRows(await response.json(), this.card);
    const time = element("p", { class: "hint" }, `Response in ${elapsed()}.`);
    if (rows.length === 1) this.result.show(...predictionResult(rows[0], this.card), time);
    else this.result.show(element("pre", { tabindex: "0" }, JSON.stringify(rows.slice(0, 100).map((row) => row.value), null, 2)), time);
  }

  async stream({ body, contentType }) {
    const { response, elapsed } = await post("/predictionsStream/", body, { contentType, accept: "text/event-stream", streams: true });
    const text = element("pre", { tabindex: "0" });
    const time = element("p", { class: "hint" }, "Receiving…");
    this.result.show(text, time);
    for await (const data of readEvents(response)) {
      if (data === "[DONE]") break;
      const event = JSON.parse(data);
      if (event.error) throw new RequestFailed("The model failed while it responded.", event.error.message ?? JSON.stringify(event.error));
      text.append(event.chunk ?? JSON.stringify(event.predictions));
    }
    time.textContent = `Response in ${elapsed()}.`;
  }

  async transform({ body, contentType }) {
    const { response, elapsed } = await post("/transform/", body, { contentType, isText: true });
    const { header, rows } = await readTransformed(response);
    const cells = Object.fromEntries(header.map((name, position) => [name, rows[0]?.[position] ?? ""]));
    this.result.show(pairsTable(cells, "Transformed row"), element("p", { class: "hint" }, `Response in ${elapsed()}.`));
  }
}

// Returns the table of a transform response; a sparse one is a text with one column.
async function readTransformed(response) {
  const form = await response.formData();
  const part = form.get("X.transformed");
  const text = typeof part === "string" ? part : await part.text();
  const reader = new CsvReader(form.get("out.format") === "csv" ? "," : "\0");
  const [header, ...records] = [...reader.add(text), ...reader.finish()].map((record) => record.cells);
  return { header: header ?? [], rows: records, text };
}
