// A file of rows: predictions as a table, their distribution, and a download.

const SHOWN_ROWS = 100;
const FILE_TYPES = {
  csv: "text/csv", json: "application/json", jsonl: "application/x-ndjson", ndjson: "application/x-ndjson",
  mtx: "text/mtx", parquet: "application/vnd.apache.parquet", arrow: "application/vnd.apache.arrow.file",
};

// A zone that takes a file by a click, by the keyboard or dropped on it.
function dropZone(text, accept, take) {
  const input = element("input", { type: "file", accept });
  const zone = element("div", { class: "drop" }, labelled(text, input), element("p", { class: "hint" }, "or drop it here"));
  input.addEventListener("click", () => (input.value = "")); // so that the same file can be chosen again
  input.addEventListener("change", () => input.files.length && take(input.files[0]));
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  return zone;
}

class FileForm {
  constructor(card, rowForm) {
    this.card = card;
    this.rowForm = rowForm;
    this.file = null;
    this.preview = element("div", { class: "stack" });
    this.submit = element("button", { type: "submit", disabled: true }, card.targetType === "transform" ? "Transform all rows" : "Predict all rows");
    this.stop = element("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.abort?.abort() }, "Stop");
    const zone = dropZone("Choose a csv file", ".csv,.json,.jsonl,.ndjson,.parquet,.arrow,.mtx,text/csv", (file) => this.take(file));
    const form = element("form", { class: "card stack", onsubmit: (event) => this.predict(event) }, zone, this.preview, element("div", { class: "line" }, this.submit, this.stop));
    this.result = resultCard("Choose a file, then predict.");
    this.panel = element("div", { class: "stack" }, form, this.result.card);
  }

  async take(file) {
    this.file = file;
    this.submit.disabled = false;
    this.kind = FILE_TYPES[file.name.split(".").pop().toLowerCase()] ?? "text/csv";
    this.beginning = { header: [], records: [], hasMore: false };
    const note = element("p", {}, element("strong", {}, file.name), `, ${formatSize(file.size)}`);
    if (this.kind !== "text/csv") return this.preview.replaceChildren(note);
    try {
      this.beginning = await readBeginning(file, SHOWN_ROWS);
    } catch (error) {
      return this.preview.replaceChildren(note, errorBox(new RequestFailed("This file cannot be read.", String(error))));
    }
    const { header, records } = this.beginning;
    const missing = this.card.columns.filter((column) => column.required && !header.includes(column.name)).map((column) => column.name);
    const isKnown = header.length && this.card.columns.length && missing.length && missing.length < this.card.columns.length;
    const warning = isKnown ? element("p", { class: "hint" }, `The file lacks columns of the model: ${missing.slice(0, 10).join(", ")}${missing.length > 10 ? " …" : ""}`) : null;
    const rows = records.slice(0, 5).map((record) => record.cells);
    this.preview.replaceChildren(...[note, warning, dataTable(header, rows, "The first rows of the file")].filter(Boolean));
    if (!this.card.columns.length && this.rowForm && rows.length) {
      const columns = header.map((name) => ({ name, type: "any", categories: [], required: true }));
      this.rowForm.setColumns(columns, rows.map((cells) => header.map((_, position) => cells[position] ?? null)), file.name);
    }
    return undefined;
  }

  async predict(event) {
    event.preventDefault();
    if (!this.file) return;
    this.abort = new AbortController();
    this.submit.disabled = true;
    this.stop.hidden = false;
    const started = performance.now();
    const status = element("p", {}, "Sending the file…");
    this.result.show(status);
    const timer = setInterval(() => (status.textContent = `Waiting for the predictions… ${Math.round((performance.now() - started) / 1000)} s`), 1000);
    try {
      await (this.card.targetType === "transform" ? this.transform() : this.request());
    } catch (error) {
      if (error.name === "AbortError") this.result.show(element("p", {}, "Stopped."));
      else this.result.fail(error);
    } finally {
      clearInterval(timer);
      this.submit.disabled = false;
      this.stop.hidden = true;
    }
  }

  async transform() {
    const options = { contentType: this.kind, fileName: this.file.name, signal: this.abort.signal, isText: true };
    const { response, elapsed } = await post("/transform/", this.file, options);
    const { header, rows, text } = await readTransformed(response);
    const shown = rows.slice(0, SHOWN_ROWS);
    this.result.show(
      element("p", {}, `${formatNumber(rows.length)} rows in ${elapsed()}.`),
      dataTable(header, shown, `Transformed rows${rows.length > shown.length ? `, the first ${shown.length}` : ""}`),
      element("button", { type: "button", onclick: () => saveAs([text], "text/csv", `transformed-${this.file.name}`) }, "Download"),
    );
  }

  async request() {
    const path = this.card.onlyStreams ? "/predictionsStream/" : "/predict/";
    const options = { contentType: this.kind, accept: "text/csv", fileName: this.file.name, signal: this.abort.signal, isText: true };
    const { response, elapsed } = await post(path, this.file, options);
    const predicted = await response.blob();
    const time = elapsed();
    let header = null;
    let distribution = null;
    const shown = [];
    for await (const records of readRecords(predicted)) {
      for (const { cells } of records) {
        if (header === null) {
          header = cells;
          distribution = new Distribution(header.slice(0, this.card.labels.length || header.length), this.card);
          continue;
        }
        distribution.add(cells);
        if (shown.length < SHOWN_ROWS) shown.push(cells);
      }
    }
    if (header === null) throw new RequestFailed("The response has no predictions.");
    this.show(predicted, header, shown, distribution, time);
  }

  show(predicted, names, cells, distribution, time) {
    const { isClasses } = distribution;
    const header = isClasses ? ["most likely", ...names] : names;
    const shown = isClasses ? cells.map((row) => [distribution.names[distribution.best(row)], ...row]) : cells;
    const inputs = this.beginning.records;
    const isJoined = inputs.length >= shown.length && shown.length > 0;
    const rows = isJoined ? shown.map((cells, row) => [...padded(inputs[row].cells, this.beginning.header.length), ...cells]) : shown;
    const columns = isJoined ? [...this.beginning.header, ...header] : header;
    const part = distribution.rows > shown.length ? `, the first ${shown.length}` : "";
    const note = element("p", { class: "hint", role: "status" });
    this.result.show(...[
      element("p", { class: "answer" }, element("strong", {}, formatNumber(distribution.rows)), ` ${distribution.rows === 1 ? "row" : "rows"} in ${time}`),
      distribution.chart(),
      dataTable(columns, rows, `Predictions${part}`, isJoined ? this.beginning.header.length : 0),
      element("div", { class: "line" }, element("button", { type: "button", onclick: () => this.download(predicted, distribution.rows, note) }, "Download as csv")),
      note,
    ].filter(Boolean));
  }

  // Joins the rows of the file and their predictions; without a match, the predictions alone.
  async download(predicted, rows, note) {
    note.textContent = "Preparing the file…";
    const name = `predictions-${this.file.name.replace(/\.[^.]*$/, "")}.csv`;
    const joined = this.kind === "text/csv" ? await joinRecords(this.file, predicted, rows) : null;
    saveAs(joined ?? [predicted], "text/csv", name);
    note.textContent = joined || this.kind !== "text/csv" ? `Saved as ${name}.` : `Saved as ${name}: the predictions alone, as the rows of the file do not match them.`;
  }
}

const padded = (cells, width) => [...cells, ...Array(Math.max(0, width - cells.length)).fill("")].slice(0, width);

async function joinRecords(file, predicted, rows) {
  const left = readRecords(file);
  const right = readRecords(predicted);
  const waiting = [[], []];
  const parts = [];
  let joined = 0;
  for (let ended = false; !ended; ) {
    const [one, other] = await Promise.all([left.next(), right.next()]);
    ended = one.done && other.done;
    for (const [side, found] of [one, other].entries()) if (!found.done) waiting[side].push(...found.value.map((record) => record.text));
    const count = Math.min(waiting[0].length, waiting[1].length);
    // A Blob holds the text outside of the memory of scripts.
    if (count) parts.push(new Blob(waiting[0].splice(0, count).map((text, row) => `${text},${waiting[1][row]}\n`)));
    waiting[1].splice(0, count);
    joined += count;
  }
  const isMatch = joined === rows + 1 && !waiting[0].length && !waiting[1].length;
  return isMatch ? parts : null;
}
