// Csv: a reader that keeps its place between chunks, and a writer.

class CsvReader {
  constructor(separator = ",") {
    this.separator = separator;
    this.cells = [];
    this.cell = "";
    this.quoted = false;
    this.afterQuote = false;
    this.raw = "";
    this.skipNewline = false;
  }

  // Returns the complete records of the text so far, each with its cells and its text.
  add(text) {
    const records = [];
    let begin = 0;
    for (let position = 0; position < text.length; position++) {
      const character = text[position];
      if (this.skipNewline) {
        this.skipNewline = false;
        if (character === "\n") {
          begin = position + 1;
          continue;
        }
      }
      if (this.quoted) {
        if (character === '"') {
          this.quoted = false;
          this.afterQuote = true;
        } else this.cell += character;
      } else if (character === '"' && (this.cell === "" || this.afterQuote)) {
        if (this.afterQuote) this.cell += '"';
        this.quoted = true;
        this.afterQuote = false;
      } else if (character === this.separator) {
        this.cells.push(this.cell);
        this.cell = "";
        this.afterQuote = false;
      } else if (character === "\n" || character === "\r") {
        this.skipNewline = character === "\r";
        this.raw += text.slice(begin, position);
        begin = position + 1;
        this.end(records);
      } else this.cell += character;
    }
    this.raw += text.slice(begin);
    return records;
  }

  // Returns the last record if the text does not end with a line break.
  finish() {
    const records = [];
    if (this.raw !== "" || this.cells.length) this.end(records);
    return records;
  }

  // A blank line is no record, as pandas reads csv.
  end(records) {
    if (this.raw.trim() !== "") records.push({ cells: [...this.cells, this.cell], text: this.raw });
    this.cells = [];
    this.cell = "";
    this.raw = "";
    this.quoted = this.afterQuote = false;
  }
}

const MAX_PREVIEW_BYTES = 512 * 1024;
const CHUNK_CHARACTERS = 1 << 16; // an array of as many records may still be the arguments of a call

// Returns the header and the first records of a file, and whether there are more.
async function readBeginning(file, rows) {
  const text = (await file.slice(0, MAX_PREVIEW_BYTES).text()).replace(/^\uFEFF/, "");
  const isWhole = file.size <= MAX_PREVIEW_BYTES;
  const reader = new CsvReader();
  const records = reader.add(text);
  if (isWhole) records.push(...reader.finish());
  const [header, ...others] = records;
  return {
    header: header ? header.cells : [],
    records: others.slice(0, rows),
    hasMore: others.length > rows || !isWhole,
  };
}

// Yields the records of a file in blocks, so that the page stays usable.
async function* readRecords(file) {
  const reader = new CsvReader();
  const decoder = new TextDecoder("utf-8");
  const stream = file.stream().getReader();
  for (;;) {
    const { done, value } = await stream.read();
    if (done) break;
    const text = decoder.decode(value, { stream: true });
    for (let begin = 0; begin < text.length; begin += CHUNK_CHARACTERS) {
      yield reader.add(text.slice(begin, begin + CHUNK_CHARACTERS));
      await nextTurn();
    }
  }
  yield [...reader.add(decoder.decode()), ...reader.finish()];
}

// A text that a spreadsheet would take for a formula stays as it is: the file is data for programs, too.
function csvCell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

const csvLine = (cells) => cells.map(csvCell).join(",") + "\n";
