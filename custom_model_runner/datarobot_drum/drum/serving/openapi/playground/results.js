// Predictions in words, as bars and as tables.

// The rows of a response, in either format of the server.
function predictionRows(document, card) {
  if (Array.isArray(document.predictions)) {
    return document.predictions.map((value, row) => ({ value, extra: document.extraModelOutput?.[row] }));
  }
  if (!Array.isArray(document.data)) throw new RequestFailed("The response has no predictions.", JSON.stringify(document));
  return document.data.map((row) => {
    const values = Object.fromEntries((row.predictionValues ?? []).map(({ label, value }) => [label, value]));
    return { value: card.labels.length ? values : row.prediction, extra: row.extraModelOutput };
  });
}

const isProbabilities = (value, card) =>
  value !== null && typeof value === "object" && !Array.isArray(value) &&
  ["binary", "multiclass", "multilabel"].includes(card.targetType);

const MAX_BARS = 10;

function bars(entries) {
  const list = element("ul", { class: "bars" });
  const show = (shown) => {
    for (const [name, value] of shown) {
      const fill = element("div", { class: "fill" });
      fill.style.width = `${Math.min(100, Math.max(0, 100 * (value ?? 0)))}%`;
      list.append(
        element(
          "li",
          {},
          element(
            "div",
            { class: "spread" },
            element("span", { class: "name" }, name),
            element("span", { class: "value" }, value === null ? "–" : formatPercent(value)),
          ),
          element("div", { class: "track", "aria-hidden": "true" }, fill),
        ),
      );
    }
  };
  show(entries.slice(0, MAX_BARS));
  if (entries.length <= MAX_BARS) return list;
  const more = element("button", { type: "button", class: "quiet" }, `Show all ${entries.length} classes`);
  more.addEventListener("click", () => {
    more.remove();
    show(entries.slice(MAX_BARS));
  });
  return element("div", { class: "stack" }, list, more);
}

function answer(before, strong, after = "") {
  return element("p", { class: "answer" }, before, element("strong", {}, strong), after);
}

function classResult(value, card) {
  const entries = Object.entries(value).sort((one, other) => (other[1] ?? -1) - (one[1] ?? -1));
  if (card.targetType === "multilabel") {
    const likely = entries.filter(([, share]) => share >= 0.5).map(([name]) => name);
    const words = likely.length ? answer("Labels: ", likely.join(", ")) : answer("", "No label", " reaches 50 %.");
    return [words, bars(entries)];
  }
  if (!entries.length) return [element("p", {}, "The response has no classes.")];
  const [name, share] = entries[0];
  const certainty = share === null ? "" : ` with a probability of ${formatPercent(share)}`;
  return [answer(card.targetName ? `${card.targetName}: ` : "Most likely: ", name, certainty), bars(entries)];
}

function pairsTable(value, caption) {
  const rows = Object.entries(value).map(([name, cell]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, formatCell(cell))));
  return element("div", { class: "scroll" }, element("table", {}, element("caption", {}, caption), element("tbody", {}, rows)));
}

const NUMBER_NAMES = { anomaly: "Anomaly score", regression: "Prediction" };

function predictionResult({ value, extra }, card) {
  const parts = [];
  const entries = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : null;
  const only = entries?.length === 1 ? entries[0] : null;
  if (isProbabilities(value, card)) parts.push(...classResult(value, card));
  else if (typeof value === "number") {
    parts.push(answer(`${card.targetName || NUMBER_NAMES[card.targetType] || "Prediction"}: `, formatNumber(value)));
    if (card.targetType === "anomaly") {
      if (value >= 0 && value <= 1) parts.push(bars([["Score", value]]));
      parts.push(element("p", { class: "hint" }, "Which score counts as unusual depends on the model."));
    }
  } else if (value === null) parts.push(element("p", {}, "The model has no prediction for this row."));
  else if (only && typeof only[1] === "string") {
    parts.push(element("p", { class: "label" }, only[0]), element("pre", { tabindex: "0" }, only[1]));
  } else if (only && isPlain(only[1])) parts.push(answer(`${only[0]}: `, formatCell(only[1])));
  else if (entries && entries.every(([, cell]) => isPlain(cell))) parts.push(pairsTable(value, "Predictions by target"));
  else parts.push(element("pre", { tabindex: "0" }, typeof value === "string" ? value : JSON.stringify(value, null, 2)));
  if (extra && Object.keys(extra).length) parts.push(pairsTable(extra, "More output of the model"));
  return parts;
}

const MAX_CELLS = 40;
const MAX_OWN_CELLS = 20;

// A table of texts; the columns from `own` on are those of the model.
function dataTable(header, rows, caption, own = header.length) {
  const all = [...header.keys()];
  // Predictions come first: at the width of a phone they are seen without scrolling.
  const positions = [...all.slice(own, own + MAX_OWN_CELLS), ...all.slice(0, Math.min(own, MAX_CELLS))];
  const words = positions.length < all.length ? `${caption}: ${positions.length} of ${all.length} columns` : caption;
  const kind = (position) => (position >= own ? "own" : null);
  const head = positions.map((position) => element("th", { scope: "col", class: kind(position) }, header[position]));
  const body = rows.map((cells) =>
    element("tr", {}, positions.map((position) => {
      const text = cells[position] ?? "";
      const shown = position >= own ? shortNumber(text) : shortText(text);
      return element("td", { class: kind(position), title: shown === text ? null : text.slice(0, 500) }, shown);
    })));
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": words },
    element("table", {}, element("caption", {}, words), element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)),
  );
}

const shortText = (text) => (text.length > 100 ? `${text.slice(0, 100)}…` : text);

// Of a prediction, the digits that people read; the download has all of them.
function shortNumber(text) {
  return /^-?[\d.]+(e[+-]?\d+)?$/i.test(text) && Number.isFinite(Number(text)) ? formatNumber(Number(text)) : shortText(text);
}

function resultCard(status = "") {
  const content = element("div", { class: "stack", role: "status" }, element("p", { class: "hint" }, status));
  const card = element("section", { class: "card stack", "aria-label": "Result" }, element("h2", {}, "Result"), content);
  const show = (...parts) => {
    content.replaceChildren(...parts);
    if (card.getBoundingClientRect().top > innerHeight - 100) card.scrollIntoView({ block: "start" });
  };
  return { card, show, fail: (error) => show(errorBox(error)) };
}
