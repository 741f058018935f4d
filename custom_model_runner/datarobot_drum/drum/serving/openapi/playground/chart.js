// The distribution of predictions: a histogram of numbers, or counts of classes.

const BINS = 20;
const MAX_CLASSES = 12;

// Collects the predictions of a column without keeping the rows.
class Distribution {
  constructor(names, card) {
    this.isClasses = ["binary", "multiclass"].includes(card.targetType) && names.length > 1;
    this.names = names;
    this.counts = new Map();
    this.numbers = [];
    this.rows = 0;
    this.missing = 0;
  }

  add(cells) {
    this.rows++;
    if (!this.isClasses) {
      const number = cells[0] === "" || cells[0] === undefined ? NaN : Number(cells[0]);
      if (Number.isFinite(number)) this.numbers.push(number);
      else this.missing++;
      return;
    }
    const best = this.best(cells);
    this.counts.set(best, (this.counts.get(best) ?? 0) + 1);
  }

  // The position of the most likely class.
  best(cells) {
    let best = 0;
    for (let position = 1; position < this.names.length; position++) {
      if (Number(cells[position]) > Number(cells[best])) best = position;
    }
    return best;
  }

  // Null if there is nothing to draw, as for texts.
  chart() {
    if (this.isClasses) return this.classChart();
    return this.numbers.length ? this.histogram() : null;
  }

  classChart() {
    const counted = [...this.counts].sort((one, other) => other[1] - one[1]);
    const entries = counted.slice(0, MAX_CLASSES).map(([position, count]) => [this.names[position], count]);
    const words = entries.map(([name, count]) => `${name}: ${formatNumber(count)}`).join(", ");
    const list = element("ul", { class: "bars" }, entries.map(([name, count]) => {
      const fill = element("div", { class: "fill" });
      fill.style.width = `${(100 * count) / this.rows}%`;
      const share = `${formatNumber(count)} (${formatPercent(count / this.rows)})`;
      const line = element("div", { class: "spread" }, element("span", { class: "name" }, name), element("span", { class: "value" }, share));
      return element("li", {}, line, element("div", { class: "track", "aria-hidden": "true" }, fill));
    }));
    const more = counted.length - entries.length;
    return figure("Rows by most likely class", list, more > 0 ? `and ${more} more classes` : "", words);
  }

  histogram() {
    const sorted = Float64Array.from(this.numbers).sort();
    const [low, high] = [sorted[0], sorted[sorted.length - 1]];
    const median = sorted[sorted.length >> 1];
    const bins = new Array(low === high ? 1 : BINS).fill(0);
    for (const number of sorted) {
      bins[low === high ? 0 : Math.min(BINS - 1, Math.floor(((number - low) / (high - low)) * BINS))]++;
    }
    const words =
      `Smallest ${formatNumber(low)}, median ${formatNumber(median)}, largest ${formatNumber(high)}` +
      (this.missing ? `; ${formatNumber(this.missing)} without a number.` : ".");
    const title = this.names.length > 1 ? `Distribution of ${this.names[0]}` : "Distribution of the predictions";
    return figure(title, columns(bins, low, high, words), words);
  }
}

function figure(title, ...parts) {
  const [drawn, hint] = parts;
  return element(
    "figure",
    { class: "stack" },
    element("figcaption", { class: "label" }, title),
    drawn,
    hint ? element("p", { class: "hint" }, hint) : null,
  );
}

function columns(bins, low, high, words) {
  const [width, height, bottom, top] = [480, 170, 24, 18];
  const highest = Math.max(...bins);
  const step = width / bins.length;
  const bars = bins.map((count, position) => {
    const size = (count / highest) * (height - bottom - top);
    const bar = drawing("rect", {
      class: "column", x: position * step + 1, y: height - bottom - size, width: Math.max(1, step - 2), height: size,
    });
    bar.append(drawing("title", {}, `${formatNumber(count)} rows`));
    return bar;
  });
  return drawing(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words },
    drawing("text", { x: 0, y: 12 }, `up to ${formatNumber(highest)} rows`),
    ...bars,
    drawing("line", { class: "axis", x1: 0, x2: width, y1: height - bottom, y2: height - bottom }),
    drawing("text", { x: 0, y: height - 6 }, formatNumber(low)),
    ...(low === high ? [] : [drawing("text", { x: width, y: height - 6, "text-anchor": "end" }, formatNumber(high))]),
  );
}
