// Any text or file for a model without columns; completions and embeddings of texts.

const SHOWN_TEXT = 100_000;
const SHOWN_IMAGE = 5 * 1024 * 1024;
const SAFE_IMAGES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);

// Shows the output of an unstructured model by its media type.
async function showOutput(response) {
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  const blob = await response.blob();
  const download = element("button", { type: "button", class: "quiet", onclick: () => saveAs([blob], type, "output") }, "Download");
  if (SAFE_IMAGES.has(type) && blob.size <= SHOWN_IMAGE) {
    const image = element("img", { alt: "The output of the model" });
    image.src = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(blob);
    });
    image.style.maxWidth = "100%";
    return [image, download];
  }
  const isText = type.startsWith("text/") || type.endsWith("json") || type.endsWith("xml");
  if (!isText && blob.size) return [element("p", {}, `${formatSize(blob.size)} of ${type || "unknown type"}.`), download];
  let text = await blob.slice(0, SHOWN_TEXT).text();
  if (type.endsWith("json") && blob.size <= SHOWN_TEXT) {
    try {
      text = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // the text as it came
    }
  }
  const part = blob.size > SHOWN_TEXT ? element("p", { class: "hint" }, `The first ${formatSize(SHOWN_TEXT)} of ${formatSize(blob.size)}.`) : null;
  return [element("pre", { tabindex: "0" }, text || "(empty)"), part, download].filter(Boolean);
}

class TextForm {
  constructor(card) {
    this.card = card;
    this.file = null;
    this.text = element("textarea", { class: "mono", rows: "8" });
    this.text.value = card.sampleText ?? "";
    this.kind = element("select", {}, ["text/plain", "application/json", "text/csv", "application/octet-stream"].map((type) => element("option", { value: type }, type)));
    try {
      if (card.sampleText && typeof JSON.parse(card.sampleText) === "object") this.kind.value = "application/json";
    } catch {
      // no JSON
    }
    this.submit = element("button", { type: "submit" }, "Send to the model");
    this.chosen = element("p", { class: "hint" });
    this.forget = element("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.take(null) }, "Use the text instead");
    const zone = dropZone("Or send a file", "", (file) => this.take(file));
    this.input = zone.querySelector("input");
    this.result = resultCard("Write a text or choose a file, then send it.");
    const form = element("form", { class: "card stack", onsubmit: (event) => this.send(event) },
      labelled("Text", this.text), labelled("Sent as", this.kind, "media type"), zone, this.chosen, this.forget, element("div", { class: "line" }, this.submit));
    this.panel = element("div", { class: "two" }, form, this.result.card);
  }

  take(file) {
    this.file = file;
    this.forget.hidden = !file;
    this.text.disabled = Boolean(file);
    if (!file) this.input.value = "";
    this.chosen.textContent = file ? `${file.name}, ${formatSize(file.size)}, is sent instead of the text.` : "";
  }

  async send(event) {
    event.preventDefault();
    this.submit.disabled = true;
    this.result.show(element("p", {}, "Waiting for the model…"));
    try {
      const contentType = this.file ? this.file.type || "application/octet-stream" : this.kind.value;
      const options = { contentType, isText: true, fileName: this.file?.name };
      const { response, elapsed } = await post("/predictUnstructured/", this.file ?? this.text.value, options);
      const parts = await showOutput(response);
      this.result.show(...parts, element("p", { class: "hint" }, `Response in ${elapsed()}.`));
    } catch (error) {
      this.result.fail(error);
    } finally {
      this.submit.disabled = false;
    }
  }
}

class PromptForm {
  constructor(card, kind) {
    this.kind = kind;
    this.text = element("textarea", { rows: "6" });
    const sample = card.sampleRequest?.[kind === "completion" ? "prompt" : "input"];
    this.text.value = Array.isArray(sample) ? sample.join("\n") : typeof sample === "string" ? sample : "";
    this.submit = element("button", { type: "submit" }, kind === "completion" ? "Complete" : "Embed");
    this.stop = element("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.abort?.abort() }, "Stop");
    this.result = resultCard("");
    const label = kind === "completion" ? labelled("Text to continue", this.text) : labelled("Texts", this.text, "one a line");
    const form = element("form", { class: "card stack", onsubmit: (event) => this.send(event) }, label, element("div", { class: "line" }, this.submit, this.stop));
    this.panel = element("div", { class: "two" }, form, this.result.card);
  }

  async send(event) {
    event.preventDefault();
    if (!this.text.value.trim()) return;
    this.submit.disabled = true;
    this.stop.hidden = this.kind !== "completion";
    this.abort = new AbortController();
    try {
      await (this.kind === "completion" ? this.complete() : this.embed());
    } catch (error) {
      if (error.name === "AbortError") this.result.show(element("p", {}, "Stopped."));
      else this.result.fail(error);
    } finally {
      this.submit.disabled = false;
      this.stop.hidden = true;
    }
  }

  async complete() {
    const body = JSON.stringify({ prompt: this.text.value, stream: true });
    const { response, elapsed } = await post("/v1/completions", body, { contentType: "application/json", streams: true, signal: this.abort.signal });
    const text = element("pre", { tabindex: "0" });
    const time = element("p", { class: "hint" }, "Receiving…");
    this.result.show(text, time);
    await eachChunk(response, (chunk) => text.append(chunk.choices?.[0]?.text ?? ""));
    time.textContent = `Response in ${elapsed()}.`;
  }

  async embed() {
    const texts = this.text.value.split("\n").filter((line) => line.trim());
    const { response, elapsed } = await post("/v1/embeddings", JSON.stringify({ input: texts }), { contentType: "application/json" });
    const vectors = (await response.json()).data.map((item) => item.embedding);
    const rows = vectors.map((vector, row) => [texts[row], String(vector.length), `${vector.slice(0, 5).map(formatNumber).join(", ")}${vector.length > 5 ? " …" : ""}`]);
    this.result.show(dataTable(["text", "numbers", "vector"], rows, "One vector per text"), element("p", { class: "hint" }, `Response in ${elapsed()}.`));
  }
}
